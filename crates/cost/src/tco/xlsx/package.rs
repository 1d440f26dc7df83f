//! The container of a workbook: a ZIP archive whose parts are stored as they are (APPNOTE 6.3.10, 4.3), with one fixed time, so that the same
//! workbook is the same bytes.

/// Midnight of 1 January 1980 as MS-DOS has it: the earliest there is.
const DOS_DATE: u16 = (1 << 5) | 1;
/// A part that is stored.
const VERSION: u16 = 20;

/// An archive of these parts; names are ASCII.
pub(super) fn package(parts: &[(String, String)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in parts {
        let offset = archive.len();
        let described = described(name, content.as_bytes());
        archive.extend(0x0403_4b50_u32.to_le_bytes());
        archive.extend(&described);
        archive.extend(name.as_bytes());
        archive.extend(content.as_bytes());
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&described);
        // No comment, the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(size(offset));
        directory.extend(name.as_bytes());
    }
    let (n, start) = (u16::try_from(parts.len()).unwrap_or(u16::MAX), archive.len());
    archive.extend(&directory);
    archive.extend(0x0605_4b50_u32.to_le_bytes());
    archive.extend([0; 4]);
    archive.extend(n.to_le_bytes());
    archive.extend(n.to_le_bytes());
    archive.extend(size(directory.len()));
    archive.extend(size(start));
    archive.extend([0; 2]);
    archive
}

/// What a part's own head and the directory say alike.
fn described(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(26);
    bytes.extend(VERSION.to_le_bytes());
    // No flags, stored, and the time.
    bytes.extend([0; 6]);
    bytes.extend(DOS_DATE.to_le_bytes());
    bytes.extend(crc32(content).to_le_bytes());
    bytes.extend(size(content.len()));
    bytes.extend(size(content.len()));
    bytes.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

fn size(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

/// The CRC-32 of ZIP: polynomial 0xEDB88320, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_directory_says_where_each_part_is() {
        let archive = package(&[("a".to_owned(), "one".to_owned()), ("bc".to_owned(), "second".to_owned())]);
        let end = archive.len() - 22;
        let number = |at: usize| u32::from_le_bytes(archive[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((number(end), number(end + 12) + number(end + 16)), (0x0605_4b50, end));
        let start = number(end + 16);
        assert_eq!(start, 2 * 30 + "a".len() + "bc".len() + "one".len() + "second".len());
        let second = start + 46 + 1;
        let at = number(second + 42);
        assert_eq!(&archive[at + 30..at + 38], b"bcsecond");
    }
}
