//! Ids of new objects, and of jobs.
//!
//! Everything that a call asks for is done before the call is answered, so a job needs no table:
//! its id carries the proof that a daemon gave it, a second half that follows from the first.

use super::error::AlibabaError;
use crate::rng::mix;
use uuid::Uuid;

/// Characters of an id behind its prefix.
const ID_CHARS: usize = 18;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Tells job ids from other UUIDs.
const JOB: u64 = 0x6A6F_6220_6964_2031;

/// An id that no other object has: `prefix` and 18 lower-case letters and digits.
pub(super) fn fresh(prefix: &str) -> Result<String, AlibabaError> {
    let mut random = [0; ID_CHARS * 2];
    getrandom::fill(&mut random).map_err(|error| no_random(&error))?;
    let characters = random.chunks_exact(2).map(|pair| {
        // Of 65,536 values, so no character is likelier than another by a thousandth.
        let number = usize::from(u16::from_le_bytes([pair[0], pair[1]]));
        char::from(ALPHABET[number % ALPHABET.len()])
    });
    Ok(prefix.chars().chain(characters).collect())
}

/// The id of a job that is done.
pub(super) fn job() -> Result<String, AlibabaError> {
    let random = getrandom::u64().map_err(|error| no_random(&error))?;
    Ok(Uuid::from_u64_pair(random, mix(random ^ JOB)).to_string())
}

/// Whether `id` is that of a job.
pub(super) fn is_job(id: &str) -> bool {
    let pair = Uuid::parse_str(id).map(|uuid| uuid.as_u64_pair());
    pair.is_ok_and(|(random, proof)| proof == mix(random ^ JOB))
}

fn no_random(error: &getrandom::Error) -> AlibabaError {
    AlibabaError::unavailable(format!("no random number for an id: {error}; try again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fresh_and_of_the_known_form() {
        let ids = [fresh("sgp-").unwrap(), fresh("sgp-").unwrap()];
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            let rest = id.strip_prefix("sgp-").unwrap();
            assert_eq!(rest.len(), ID_CHARS);
            assert!(rest.bytes().all(|byte| ALPHABET.contains(&byte)), "{rest}");
        }
    }

    #[test]
    fn a_job_is_known_by_its_id_alone() {
        let id = job().unwrap();
        assert!(is_job(&id) && is_job(&id.to_uppercase()));
        let last = if id.ends_with('0') { "1" } else { "0" };
        assert!(!is_job(&format!("{}{last}", &id[..35])));
        assert!(!is_job("") && !is_job(&Uuid::nil().to_string()) && !is_job("x"));
    }
}
