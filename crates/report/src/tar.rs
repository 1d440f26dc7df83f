//! Archives in the format of POSIX.1-1988 (ustar), written so that the same files are always the same bytes: in the order of their names, of nobody,
//! of no time.

use crate::rows::Files;

const BLOCK: usize = 512;
/// Longest name without a prefix.
const MOST_NAME: usize = 100;
/// More than any report holds.
const MOST_BYTES: usize = 1 << 31;

/// The archive of these files; `None` where a name is too long for it.
pub(crate) fn write(files: &Files) -> Option<Vec<u8>> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        if name.len() >= MOST_NAME || bytes.len() >= MOST_BYTES {
            return None;
        }
        archive.extend_from_slice(&header(name, bytes.len()));
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Some(archive)
}

fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The files of an archive of [`write`]; what other programs may put into one is refused.
pub(crate) fn read(archive: &[u8]) -> Result<Files, String> {
    let mut files = Files::new();
    let mut at = 0;
    loop {
        let block =
            archive.get(at..at + BLOCK).ok_or_else(|| format!("the archive ends at byte {at}, within a header"))?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(files);
        }
        let text = |from: usize, to: usize| {
            let field = &block[from..to];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            std::str::from_utf8(&field[..end]).map_err(|_| format!("the header at byte {at} is no text"))
        };
        let name = text(0, MOST_NAME)?.to_owned();
        let size = usize::from_str_radix(text(124, 136)?.trim(), 8).map_err(|_| format!("`{name}` has no size"))?;
        let from = at + BLOCK;
        let to = from.checked_add(size).filter(|to| *to <= archive.len());
        let to = to.ok_or_else(|| format!("`{name}` is longer than the archive"))?;
        files.insert(name, archive[from..to].to_vec());
        at = to.next_multiple_of(BLOCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_a_cut_archive_is_refused() {
        let files: Files = [("a.txt", "x".repeat(700)), ("b/c.csv", String::new())]
            .map(|(name, text)| (name.to_owned(), text.into_bytes()))
            .into();
        let archive = write(&files).unwrap();
        assert_eq!(read(&archive).unwrap(), files);
        assert_eq!(&archive[257..265], b"ustar\x0000");
        assert!(read(&archive[..900]).is_err());
        let long: Files = [("n".repeat(120), Vec::new())].into();
        assert_eq!(write(&long), None);
    }
}
