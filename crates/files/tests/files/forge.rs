//! Archives written by hand, without asking whether they make sense.

use std::io::Write;

use tar::{EntryType, Header};

pub(crate) const FILE: u32 = 0o100_644;
pub(crate) const LINK: u32 = 0o120_777;

/// An entry of a zip archive, with whatever it says of itself.
pub(crate) struct ZipEntry {
    name: Vec<u8>,
    mode: u32,
    data: Vec<u8>,
    pub(crate) size: u32,
    pub(crate) crc: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    /// Where it was made: 3 is Unix.
    system: u8,
}

impl ZipEntry {
    pub(crate) fn new(name: impl AsRef<[u8]>, mode: u32, data: &[u8]) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            mode,
            data: data.to_vec(),
            size: u32::try_from(data.len()).unwrap(),
            crc: crc32(data),
            // Names are UTF-8.
            flags: 0x800,
            method: 0,
            system: 3,
        }
    }

    pub(crate) fn with_flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    /// As made on MS-DOS, with the attributes of there.
    pub(crate) fn on_dos(mut self) -> Self {
        self.system = 0;
        self
    }

    /// What the local and the central header share.
    fn common(&self) -> Vec<u8> {
        let mut header = Vec::new();
        for field in [20, self.flags, self.method, 0, 0x5421] {
            header.extend(field.to_le_bytes());
        }
        let packed = u32::try_from(self.data.len()).unwrap();
        for field in [self.crc, packed, self.size] {
            header.extend(field.to_le_bytes());
        }
        header.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        header.extend([0; 2]);
        header
    }
}

/// Writes a zip archive without asking whether it makes sense (APPNOTE.TXT 4.3).
pub(crate) fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = u32::try_from(archive.len()).unwrap();
        archive.extend(b"PK\x03\x04");
        archive.extend(entry.common());
        archive.extend(&entry.name);
        archive.extend(&entry.data);
        // Made by version 3.0.
        directory.extend(b"PK\x01\x02\x1e");
        directory.push(entry.system);
        directory.extend(entry.common());
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&entry.name);
    }
    let (start, length) = (archive.len(), directory.len());
    archive.extend(directory);
    if entries.len() > 0xfffe {
        let end = archive.len() as u64;
        archive.extend(b"PK\x06\x06");
        archive.extend(44u64.to_le_bytes());
        archive.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for field in [entries.len(), entries.len(), length, start] {
            archive.extend((field as u64).to_le_bytes());
        }
        archive.extend(b"PK\x06\x07\0\0\0\0");
        archive.extend(end.to_le_bytes());
        archive.extend(1u32.to_le_bytes());
    }
    archive.extend(b"PK\x05\x06\0\0\0\0");
    let count = u16::try_from(entries.len()).unwrap_or(0xffff).to_le_bytes();
    archive.extend([count, count].concat());
    archive.extend(u32::try_from(length).unwrap().to_le_bytes());
    archive.extend(u32::try_from(start).unwrap().to_le_bytes());
    archive.extend([0; 2]);
    archive
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

/// An entry of a tar archive, with whatever it says of itself.
#[derive(Clone)]
pub(crate) struct TarEntry {
    header: Header,
    data: Vec<u8>,
}

impl TarEntry {
    pub(crate) fn new(name: impl AsRef<[u8]>, kind: EntryType, data: &[u8]) -> Self {
        let name = name.as_ref();
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        let data = data.to_vec();
        Self { header, data }
    }

    /// With bytes of the header as they are given.
    pub(crate) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.header.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
        self.header.set_cksum();
        self
    }

    /// With a checksum of signed bytes, as old writers made it.
    pub(crate) fn with_signed_checksum(mut self) -> Self {
        self.header.as_old_mut().cksum = *b"        ";
        let bytes = self.header.as_bytes().iter();
        let sum: i64 = bytes.map(|byte| i64::from(byte.cast_signed())).sum();
        let digits = format!("{:06o}\0 ", sum & 0o777_777);
        self.header
            .as_old_mut()
            .cksum
            .copy_from_slice(digits.as_bytes());
        self
    }

    /// The extended header of pax for the entry behind it.
    pub(crate) fn pax(records: &[(&str, &[u8])]) -> Self {
        Self::new("PaxHeaders/x", EntryType::XHeader, &pax(records))
    }

    /// With the field of the time as it is given.
    pub(crate) fn modified(mut self, field: [u8; 12]) -> Self {
        self.header.as_old_mut().mtime = field;
        self.header.set_cksum();
        self
    }

    pub(crate) fn link(name: impl AsRef<[u8]>, kind: EntryType, target: impl AsRef<[u8]>) -> Self {
        let target = target.as_ref();
        let mut entry = Self::new(name, kind, b"");
        entry.header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        entry.header.set_cksum();
        entry
    }
}

pub(crate) fn tar(entries: &[TarEntry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        archive.extend(entry.header.as_bytes());
        archive.extend(&entry.data);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend([0; 1024]);
    archive
}

/// The records of an extended header of pax.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 9).find(|it| rest + it.to_string().len() == *it);
        data.extend(format!("{} {key}=", length.unwrap()).as_bytes());
        data.extend(*value);
        data.push(b'\n');
    }
    data
}

pub(crate) fn compress(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
