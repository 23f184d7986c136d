//! The times of zip archives: those of MS-DOS, from 1980 on and to two seconds, taken as UTC.

/// Time and date as a header has them. What MS-DOS cannot say is its first or its last time.
pub(super) fn dos_time(seconds: i64) -> (u16, u16) {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    if year < 1980 {
        return (0, 32 + 1);
    }
    if year > 1980 + 127 {
        return (23 * 2048 + 59 * 32 + 29, 127 * 512 + 12 * 32 + 31);
    }
    let of_day = seconds.rem_euclid(86_400);
    let small = |value: i64| u16::try_from(value).unwrap_or(0);
    let time = small(of_day / 3600 * 2048 + of_day / 60 % 60 * 32 + of_day % 60 / 2);
    (time, small((year - 1980) * 512 + month * 32 + day))
}

/// The other way round: seconds from 1970 on; `None` for what is no time.
pub(super) fn from_dos(time: u16, date: u16) -> Option<i64> {
    let (time, date) = (i64::from(time), i64::from(date));
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 0xf, date & 0x1f);
    let (hour, minute, second) = (time >> 11, time >> 5 & 0x3f, (time & 0x1f) * 2);
    let is_valid = (1..=12).contains(&month) && day > 0 && hour < 24 && minute < 60 && second < 60;
    let days = days_from_civil(year, month, day);
    // The thirtieth of February is in March.
    (is_valid && civil(days) == (year, month, day))
        .then(|| days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The date of a day counted from 1970-01-01, after Howard Hinnant's "chrono-compatible
/// low-level date algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The other way round: the day counted from 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(20_778), (2026, 11, 21));
        assert_eq!(civil(11_016), (2000, 2, 29));
        for days in -200_000..200_000 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn times_of_dos_go_both_ways() {
        for seconds in [315_532_800, 1_795_222_860, 4_354_819_198] {
            let (time, date) = dos_time(seconds);
            assert_eq!(from_dos(time, date), Some(seconds));
        }
        assert_eq!(dos_time(-1), dos_time(315_532_800));
        assert_eq!(dos_time(i64::from(u32::MAX) * 2), dos_time(4_354_819_199));
        // No month, the thirtieth of February, and the 25th hour.
        for (time, date) in [(0, 0), (0, 2 * 32 + 30), (25 * 2048, 32 + 1)] {
            assert_eq!(from_dos(time, date), None);
        }
    }
}
