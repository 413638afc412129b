//! What ties features to those who read them: the hash of their definition and the hash of their values.

use super::FeatureId;
use crate::domain::hash::hash64;

/// Version of the formulas. Any change of what a feature's number means (formula, seed, parameter, bound or the handling
/// of an empty bar) must raise it: a model trained on the old numbers is then refused instead of being fed the new ones.
pub const SCHEMA_VERSION: u32 = 1;

/// Hash of a selection: the version of the formulas, then name and parameters of each feature, in order.
pub fn schema_hash(ids: &[FeatureId]) -> u64 {
    let mut text = format!("levibot features {SCHEMA_VERSION}");
    for id in ids {
        text.push('\n');
        text.push_str(id.name());
        for parameter in id.parameters() {
            text.push_str(&format!(" {parameter}"));
        }
    }
    hash64(&[text.as_bytes()])
}

/// Hash of the bits of values, as decisions record it: equal bits give equal hashes, and a change of any one value
/// always changes it. Fast, because it is taken at every bar; not for secrets.
pub fn feature_hash(values: &[f64]) -> u64 {
    mix_words(values.iter().map(|value| value.to_bits()))
}

/// Odd, from the golden ratio (Knuth, TAOCP 6.4).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hash of a list of words, its length included. Four lanes run side by side, each step of which is a bijection of the
/// word it takes; the SplitMix64 finaliser (Steele et al. 2014) joins them.
pub fn mix_words(words: impl Iterator<Item = u64>) -> u64 {
    let mut lanes = [1_u64, 2, 3, 4];
    let mut count = 0_usize;
    for word in words {
        let lane = &mut lanes[count % 4];
        *lane = (lane.rotate_left(29) ^ word).wrapping_mul(MULTIPLIER);
        count += 1;
    }
    lanes.iter().fold(count as u64, |hash, lane| finalise(hash ^ finalise(*lane)))
}

const fn finalise(word: u64) -> u64 {
    let word = word.wrapping_add(MULTIPLIER);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_change_of_any_value_order_or_length_is_another_hash() {
        let values: Vec<f64> = (0..38).map(|i| f64::from(i) * 0.5).collect();
        let mut seen = HashSet::from([feature_hash(&values)]);
        for at in 0..values.len() {
            for changed in [-values[at], values[at] + 1e-9, f64::from_bits(values[at].to_bits() + 1)] {
                let mut other = values.clone();
                other[at] = changed;
                seen.insert(feature_hash(&other));
            }
            seen.insert(feature_hash(&values[..at]));
            if at > 0 {
                let mut other = values.clone();
                other.swap(0, at);
                seen.insert(feature_hash(&other));
            }
        }
        assert_eq!(seen.len(), 1 + 38 * 4 + 37);
    }

    #[test]
    fn the_schema_is_that_of_the_selection_in_its_order() {
        let (a, b) = (FeatureId::Rsi14, FeatureId::Adx14);
        let hashes = HashSet::from([schema_hash(&[a, b]), schema_hash(&[b, a]), schema_hash(&[a]), schema_hash(&[])]);
        assert_eq!(hashes.len(), 4);
    }
}
