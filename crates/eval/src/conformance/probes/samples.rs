//! Small files that are sent: half a second of a tone, and a picture of one colour. Both are made here, bit by bit.

use wire::base64;

/// The boundary between parts of a form. Nothing that is sent has it in it.
const BOUNDARY: &str = "crossfade-conformance-form";

/// The type of a form's body.
pub(super) const FORM: &str = "multipart/form-data; boundary=crossfade-conformance-form";

/// A file in a form.
pub(super) struct File<'a> {
    /// The field it is in.
    pub(super) field: &'a str,
    /// What it is called.
    pub(super) name: &'a str,
    /// What kind of bytes it has.
    pub(super) media: &'a str,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
}

/// A form (RFC 7578) with these fields and a file, and the same in words.
pub(super) fn form(fields: &[(&str, &str)], file: &File<'_>) -> (Vec<u8>, String) {
    let (mut body, mut words) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
        words.push(format!("{name}={value}"));
    }
    let File { field, name, media, bytes } = file;
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\ncontent-type: {media}\r\n\r\n"
    );
    body.extend(head.into_bytes());
    body.extend_from_slice(bytes);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    words.push(format!("{field}=@{name} ({} bytes of {media})", bytes.len()));
    (body, format!("(form) {}", words.join(" ")))
}

/// Half a second of 440 Hz: WAV, one channel of 16 bits, 8000 samples a second.
pub(super) fn tone() -> Vec<u8> {
    const RATE: u32 = 8000;
    let samples: Vec<u8> = (0..RATE / 2)
        .flat_map(|at| {
            let phase = f64::from(at) * 440.0 / f64::from(RATE) * std::f64::consts::TAU;
            #[expect(clippy::cast_possible_truncation, reason = "within 16 bits: 8000 times a sine")]
            let sample = (phase.sin() * 8000.0) as i16;
            sample.to_le_bytes()
        })
        .collect();
    let n_bytes = u32::try_from(samples.len()).unwrap_or(0);
    let mut wav = Vec::with_capacity(44 + samples.len());
    wav.extend(b"RIFF");
    wav.extend((36 + n_bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1_u16, 1].into_iter().flat_map(u16::to_le_bytes));
    wav.extend([RATE, RATE * 2].into_iter().flat_map(u32::to_le_bytes));
    // Bytes of a frame, bits of a sample.
    wav.extend([2_u16, 16].into_iter().flat_map(u16::to_le_bytes));
    wav.extend(b"data");
    wav.extend(n_bytes.to_le_bytes());
    wav.extend(samples);
    wav
}

/// A blue picture of 64 by 64, PNG with an alpha channel.
pub(super) fn picture() -> Vec<u8> {
    const SIDE: u16 = 64;
    // Each line begins with its filter, which is none.
    let line: Vec<u8> = std::iter::once(0).chain([30, 60, 200, 255].repeat(usize::from(SIDE))).collect();
    let pixels = line.repeat(usize::from(SIDE));
    let mut png = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    let side = u32::from(SIDE).to_be_bytes();
    // 8 bits a channel, red green blue and alpha, and nothing special.
    chunk(&mut png, *b"IHDR", &[&side[..], &side, &[8, 6, 0, 0, 0]].concat());
    chunk(&mut png, *b"IDAT", &stored(&pixels));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let whole = [&name[..], data].concat();
    png.extend(u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    png.extend(&whole);
    png.extend(crc32(&whole).to_be_bytes());
}

/// A zlib stream (RFC 1950) of one block that is not compressed; for at most 65 535 bytes.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(0);
    let mut stream = vec![0x78, 0x01, 1];
    stream.extend(len.to_le_bytes());
    stream.extend((!len).to_le_bytes());
    stream.extend(bytes);
    // Adler-32.
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Whether these bytes begin as a picture does: PNG, JPEG or WebP.
pub(super) fn is_picture(text: &str) -> bool {
    let bytes = base64::decode(text).unwrap_or_default();
    bytes.starts_with(&[0x89, b'P', b'N', b'G'])
        || bytes.starts_with(&[0xff, 0xd8, 0xff])
        || bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sums_are_those_of_the_standards() {
        // The check values of CRC-32 (ISO 3309) and of Adler-32 as it is usually shown.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(stored(b"Wikipedia")[16..], 0x11e6_0398_u32.to_be_bytes());
    }

    #[test]
    fn the_tone_and_the_picture_are_as_long_as_their_heads_say() {
        let tone = tone();
        assert_eq!((tone.len(), &tone[40..44]), (44 + 8000, &8000_u32.to_le_bytes()[..]));
        assert!(tone[44..].iter().any(|byte| *byte != 0));
        let png = picture();
        // One line is a filter and 64 pixels of 4 bytes; the stream adds 11 bytes, and each chunk 12.
        let pixels = 64 * (1 + 64 * 4);
        assert_eq!(png.len(), 8 + (12 + 13) + (12 + pixels + 11) + 12);
        assert!(is_picture(&base64::encode(&png)) && !is_picture("bm90IGEgcGljdHVyZQ=="));
    }

    #[test]
    fn a_form_has_its_fields_and_the_file_between_boundaries() {
        let file = File { field: "file", name: "a.txt", media: "text/plain", bytes: b"abc" };
        let (body, words) = form(&[("model", "m")], &file);
        let text = String::from_utf8(body).unwrap();
        assert!(FORM.ends_with(BOUNDARY) && text.matches(BOUNDARY).count() == 3, "{text}");
        assert!(text.contains("filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\nabc\r\n--"), "{text}");
        assert_eq!(words, "(form) model=m file=@a.txt (3 bytes of text/plain)");
    }
}
