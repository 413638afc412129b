//! Short stable hashes: for seeds, schema and identity. Not for secrets.

use arrayvec::ArrayVec;
use sha2::{Digest, Sha256};

/// SHA-256 of the parts, each preceded by its length so that no two lists of parts meet.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    // Short ones, which are hashed with every order, are put together first: an update costs as much as a block.
    let mut short = ArrayVec::<u8, 128>::new();
    let fits = parts.iter().all(|part| {
        let length = short.try_extend_from_slice(&(part.len() as u64).to_le_bytes());
        length.is_ok() && short.try_extend_from_slice(part).is_ok()
    });
    if fits {
        return Sha256::digest(&short).into();
    }
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first eight bytes of [`sha256`] as a number.
pub fn hash64(parts: &[&[u8]]) -> u64 {
    let digest = sha256(parts);
    let mut head = [0_u8; 8];
    head.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(head)
}

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A uniform draw in `[0, 1)` that depends on `key` and `n` alone (SplitMix64 finaliser, Steele et al. 2014). Cores have
/// no generator that runs on: a draw made again after a crash is the same draw.
pub fn unit_draw(key: u64, n: u64) -> f64 {
    let mut z = key.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(hash64(&[b"ab", b"c"]), hash64(&[b"a", b"bc"]));
        assert_eq!(hash64(&[b"a"]), hash64(&[b"a"]));
    }

    #[test]
    fn short_and_long_parts_are_hashed_alike() {
        for length in 0..300 {
            let part = vec![7_u8; length];
            let whole = [&(length as u64).to_le_bytes()[..], &part, &1_u64.to_le_bytes(), b"x"].concat();
            assert_eq!(sha256(&[&part, b"x"]), <[u8; 32]>::from(Sha256::digest(&whole)), "{length}");
        }
    }

    #[test]
    fn draws_are_uniform_enough() {
        let n = 20_000_u64;
        let draws: Vec<f64> = (0..n).map(|i| unit_draw(7, i)).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let var = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.01 && (var - 1.0 / 12.0).abs() < 0.002, "{mean} {var}");
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
    }
}
