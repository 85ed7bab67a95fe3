//! Making an image live: write the half that no packet reads, wait for nobody, flip.

use lb_common::layout::half;

use super::{error::DatapathError, grace::Grace, image::Image, lowered::Lowered, maps::StateMaps};

/// The maps, with what is known of both halves.
pub(super) struct Publisher {
    pub(super) maps: StateMaps,
    known: [Lowered; 2],
    /// The grace period since the last flip: until it is over a packet may still read the half that is to be written.
    grace: Option<Grace>,
}

impl Publisher {
    /// Of maps whose contents are read back.
    pub(super) fn new(maps: StateMaps) -> Result<Self, DatapathError> {
        let known = [maps.read(0)?, maps.read(1)?];
        // Whoever published before us may have flipped a moment ago.
        Ok(Self { maps, known, grace: Some(Grace::begin()) })
    }

    /// Makes an image live and returns its generation. An image that is live already is not published again.
    pub(super) fn publish(&mut self, image: &Image) -> Result<u32, DatapathError> {
        let live = self.maps.meta.generation();
        let wanted = Lowered::new(image);
        if live != 0 && self.known[half(live) as usize] == wanted {
            return Ok(live);
        }
        if let Some(grace) = self.grace.take() {
            grace.wait()?;
        }
        let next = following(live);
        self.maps.write(half(next), &mut self.known[half(next) as usize], &wanted)?;
        self.maps.meta.flip(next);
        self.grace = Some(Grace::begin());
        Ok(next)
    }
}

/// The generation after this one: in the other half, and never 0, which says that nothing was published.
fn following(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 => 2,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_alternate_between_the_halves_for_ever() {
        for generation in [0, 1, 2, 7, u32::MAX - 1, u32::MAX] {
            let next = following(generation);
            assert!(next != 0 && half(next) != half(generation), "{generation}");
        }
    }
}
