//! System calls without the C library. Its wrappers write `errno`, and the one that a child finds
//! belongs to a thread of the daemon, which may be running on.

use std::arch::asm;

use libc::{c_int, c_long};

/// Makes a system call with up to five arguments. The error is the number of it.
///
/// # Safety
///
/// What the call does must be sound.
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, c_int> {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller answers for the call; the kernel changes these registers alone.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller answers for the call; the kernel changes these registers alone.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            options(nostack),
        );
    }
    match c_int::try_from(result.wrapping_neg()) {
        Ok(errno @ 1..=4095) => Err(errno),
        _ => Ok(result.cast_unsigned()),
    }
}
