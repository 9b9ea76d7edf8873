//! The place a reading stopped at, as it travels in a cursor.

use super::page::Spot;

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// Which of the paths.
    pub(super) file: usize,
    /// Where in it; its beginning without one.
    pub(super) place: Option<Place>,
}

/// A place in one state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Tells whether the file is still as it was.
    pub(super) fingerprint: [u8; 8],
    /// The place.
    pub(super) spot: Spot,
}

impl Resume {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = u32::try_from(self.file).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        if let Some(Place { fingerprint, spot }) = self.place {
            bytes.extend_from_slice(&fingerprint);
            for number in [spot.offset, spot.line, spot.left] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes.push(u8::from(spot.inside));
        }
        bytes
    }

    /// Reads what [`Resume::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (file, rest) = bytes.split_first_chunk::<4>()?;
        let file = usize::try_from(u32::from_be_bytes(*file)).ok()?;
        if rest.is_empty() {
            return Some(Self { file, place: None });
        }
        let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (line, rest) = rest.split_first_chunk::<8>()?;
        let (left, rest) = rest.split_first_chunk::<8>()?;
        let [inside] = rest else { return None };
        let spot = Spot {
            offset: u64::from_be_bytes(*offset),
            line: u64::from_be_bytes(*line),
            left: u64::from_be_bytes(*left),
            inside: *inside != 0,
        };
        Some(Self { file, place: Some(Place { fingerprint: *fingerprint, spot }) })
    }
}
