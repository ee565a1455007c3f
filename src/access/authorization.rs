//! The Authorization header of SigV4 and ACS3: `SCHEME Credential=…,SignedHeaders=…,Signature=…`.

use super::canonical::SignedHeaders;
use super::refusal::Refusal;

/// Its three parts, each given once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authorization<'a> {
    pub(super) credential: &'a str,
    pub(super) signed: SignedHeaders<'a>,
    pub(super) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads what stands behind the scheme. Clients of AWS put a blank behind each comma, those of
    /// Alibaba none.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in text.split(',') {
            let (name, value) = part.trim_ascii().split_once('=').ok_or(Refusal::Malformed)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                _ => return Err(Refusal::Malformed),
            };
            if place.replace(value).is_some() {
                return Err(Refusal::Malformed);
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature)
        else {
            return Err(Refusal::Malformed);
        };
        Ok(Self { credential, signed: SignedHeaders::parse(signed)?, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_in_any_order_each_once() {
        let read = Authorization::parse("Signature=s, Credential=a/b,SignedHeaders=host").unwrap();
        assert_eq!((read.credential, read.signature), ("a/b", "s"));
        assert!(Authorization::parse("Credential=,SignedHeaders=a,Signature=").is_ok());
        for wrong in [
            "",
            "Credential=a",
            "Credential=a,SignedHeaders=b",
            "Credential=a,SignedHeaders=b,Signature=c,",
            "Credential=a,SignedHeaders=b,Signature=c,Signature=c",
            "Credential=a,SignedHeaders=b,Signature=c,Other=d",
            "credential=a,SignedHeaders=b,Signature=c",
            "Credential=a,SignedHeaders=b;a,Signature=c",
        ] {
            assert!(Authorization::parse(wrong).is_err(), "{wrong}");
        }
    }
}
