//! Images as hosts accept them: never larger than they can be looked at, never decoded unchecked.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder as _, ImageEncoder as _, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::FilterType,
};

/// Longest side that is shown, in pixels.
const MAX_SIDE: u32 = 1568;
/// Most pixels that are decoded.
const MAX_PIXELS: u64 = 50_000_000;
/// Most memory that decoding may take, in bytes.
const MAX_MEMORY: u64 = 256 << 20;
/// Largest image in an answer, in bytes before encoding.
pub(crate) const MAX_BYTES: usize = 3_500_000;
/// Quality of images written as JPEG.
const QUALITY: u8 = 85;

/// An image as it goes into the answer.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Encoded bytes.
    pub(crate) data: Vec<u8>,
    /// `image/png`, …
    pub(crate) mime: &'static str,
    /// Size in the file, in pixels.
    pub(crate) original: (u32, u32),
    /// Size in the answer, where it differs.
    pub(crate) scaled: Option<(u32, u32)>,
}

/// Why an image is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Decoding it would take too much memory.
    #[error("it has {0}x{1} pixels and {max} million is the limit", max = MAX_PIXELS / 1_000_000)]
    TooManyPixels(u32, u32),
    /// Its data are not what they should be.
    #[error("its data can't be decoded")]
    Broken(#[from] image::ImageError),
    /// No encoding of it is small enough.
    #[error("it stays larger than {MAX_BYTES} bytes")]
    TooLarge,
}

/// The format of a file that begins like this.
pub(crate) fn format(head: &[u8]) -> Option<ImageFormat> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(ImageFormat::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(ImageFormat::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageFormat::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Checks an image by its header, and scales it down when it is too large to be shown as it is.
///
/// # Errors
/// [`Refusal`]
pub(crate) fn prepare(data: Vec<u8>, format: ImageFormat) -> Result<Picture, Refusal> {
    let mut reader = ImageReader::with_format(Cursor::new(&data), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(Refusal::TooManyPixels(width, height));
    }
    if width.max(height) <= MAX_SIDE && data.len() <= MAX_BYTES {
        drop(decoder);
        return Ok(Picture { data, mime: format.to_mime_type(), original: (width, height), scaled: None });
    }
    // Pixels are scaled as they are stored, so the orientation is applied before it is lost.
    let orientation = decoder.orientation()?;
    let mut pixels = DynamicImage::from_decoder(decoder)?;
    drop(data);
    shrink(&mut pixels, MAX_SIDE);
    pixels.apply_orientation(orientation);
    let lossless = format != ImageFormat::Jpeg;
    for side in [MAX_SIDE, MAX_SIDE / 2, MAX_SIDE / 4] {
        shrink(&mut pixels, side);
        let scaled = Some((pixels.width(), pixels.height()));
        for (data, mime) in encodings(&pixels, lossless)? {
            if data.len() <= MAX_BYTES {
                return Ok(Picture { data, mime, original: (width, height), scaled });
            }
        }
    }
    Err(Refusal::TooLarge)
}

fn shrink(pixels: &mut DynamicImage, side: u32) {
    if pixels.width().max(pixels.height()) > side {
        *pixels = pixels.resize(side, side, FilterType::Triangle);
    }
}

/// The image as PNG when its pixels were exact, and as JPEG.
fn encodings(pixels: &DynamicImage, lossless: bool) -> Result<Vec<(Vec<u8>, &'static str)>, Refusal> {
    let mut all = Vec::new();
    if lossless {
        let narrow = if pixels.color().has_alpha() { DynamicImage::from(pixels.to_rgba8()) } else { pixels.to_rgb8().into() };
        let mut png = Vec::new();
        PngEncoder::new(&mut png).write_image(narrow.as_bytes(), narrow.width(), narrow.height(), narrow.color().into())?;
        let fits = png.len() <= MAX_BYTES;
        all.push((png, "image/png"));
        if fits {
            return Ok(all);
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&pixels.to_rgb8())?;
    all.push((jpeg, "image/jpeg"));
    Ok(all)
}
