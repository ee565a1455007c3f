//! The table: what is asked of whom, what comes of it, and which version is recorded.

/// A server by its name in one of the tables of servers, the protocol, more keys of the health
/// check; the code, part of the detail, and the version of what was presented.
pub(crate) type Case =
    (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const HTTPS: &str = "HTTPS";
const TLS: &str = "TLS";
const HTTP: &str = "HTTP";
const PLAIN: &str = "";
const VERIFY: &str =
    "tls.verify = true\ntls.ca_file = \"ca.pem\"\ntls.server_name = \"web.test\"\n";
const SYSTEM: &str = "tls.verify = true\ntls.server_name = \"web.test\"\n";
const CLIENT: &str = "tls.client_cert = \"client.pem\"\ntls.client_key = \"client.key\"\n";
const STRANGER: &str = "tls.client_cert = \"self.pem\"\ntls.client_key = \"self.key\"\n";
const NAMED: &str = "tls.server_name = \"web.test\"\n";
const MISNAMED: &str = "tls.server_name = \"strange.test\"\n";
const HOST: &str = "host = \"web.test:443\"\n";
const H2: &str = "tls.alpn = [\"h2\"]\n";
const HTTP11: &str = "tls.alpn = [\"http/1.1\"]\n";
const FULL: &str = "tls.full_handshake_every = 1\n";
const SECOND: &str = "tls.full_handshake_every = 2\n";
const PROXY: &str = "proxy_protocol = \"v1\"\n";
const PROXY2: &str = "proxy_protocol = \"v2\"\n";
const KEPT: &str = "proxy_protocol = \"v1\"\nreuse = true\n";
const KEPT2: &str = "proxy_protocol = \"v2\"\nreuse = true\nfresh_connection_every = 2\n";
/// No ServerHello came that one could take.
const NONE: &str = "";
const V12: &str = "TLSv1.2";
const V13: &str = "TLSv1.3";

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // server                       asked  keys      code      detail                        version
    // healthy, by each program
    ("nginx",                        HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx",                        TLS,   PLAIN,    "L6OK",   "",                           V13),
    ("nginx",                        HTTPS, VERIFY,   "L7OK",   "",                           V13),
    ("nginx",                        HTTPS, NAMED,    "L7OK",   "",                           V13),
    ("nginx",                        HTTPS, HOST,     "L7OK",   "",                           V13),
    ("nginx",                        HTTPS, FULL,     "L7OK",   "",                           V13),
    ("nginx",                        HTTPS, SECOND,   "L7OK",   "",                           V13),
    ("nginx",                        TLS,   FULL,     "L6OK",   "",                           V13),
    ("haproxy",                      HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("haproxy",                      TLS,   VERIFY,   "L6OK",   "",                           V13),
    ("openssl",                      HTTPS, VERIFY,   "L7OK",   "",                           V13),
    // whom to believe
    ("nginx self-signed",            HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx self-signed",            HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    ("nginx",                        HTTPS, SYSTEM,   "L6RSP",  "certificate",                V13),
    ("openssl self-signed",          TLS,   PLAIN,    "L6OK",   "",                           V13),
    ("openssl self-signed",          TLS,   VERIFY,   "L6RSP",  "certificate",                V13),
    ("nginx expired",                HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx expired",                HTTPS, VERIFY,   "L6RSP",  "certificate expired 3 days", V13),
    ("nginx early",                  HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx early",                  HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    ("nginx other name",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx other name",             HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    // versions
    ("nginx 1.2 only",               HTTPS, VERIFY,   "L7OK",   "",                           V12),
    ("nginx 1.3 only",               HTTPS, VERIFY,   "L7OK",   "",                           V13),
    ("nginx 1.1 only",               HTTPS, PLAIN,    "L6RSP",  "alert: protocol version",    NONE),
    ("haproxy 1.2 only",             HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("haproxy 1.3 only",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl 1.0 only",             HTTPS, PLAIN,    "L6RSP",  "alert: protocol version",    NONE),
    ("openssl 1.1 only",             HTTPS, PLAIN,    "L6RSP",  "alert: protocol version",    NONE),
    ("openssl 1.2 only",             TLS,   PLAIN,    "L6OK",   "",                           V12),
    ("openssl 1.3 only",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    // ciphers and keys
    ("openssl retry",                HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl P-521",                HTTPS, PLAIN,    "L6RSP",  "alert: handshake failure",   NONE),
    ("openssl AES-CBC",              HTTPS, PLAIN,    "L6RSP",  "alert: handshake failure",   NONE),
    ("openssl DHE",                  HTTPS, PLAIN,    "L6RSP",  "alert: handshake failure",   NONE),
    ("openssl ed25519",              HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl p384",                 HTTPS, VERIFY,   "L7OK",   "",                           V13),
    ("openssl p521",                 HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl RSA 1024",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl SHA-1",                HTTPS, PLAIN,    "L7OK",   "",                           V13),
    // certificates of ours
    ("nginx client wanted",          HTTPS, PLAIN,    "L7STS",  "400",                        V13),
    ("nginx client wanted",          HTTPS, CLIENT,   "L7OK",   "",                           V13),
    ("haproxy client wanted",        HTTPS, PLAIN,    "L6RSP",  "certificate required",       V13),
    ("haproxy client wanted",        HTTPS, CLIENT,   "L7OK",   "",                           V13),
    ("openssl client wanted",        HTTPS, PLAIN,    "L6RSP",  "certificate required",       V13),
    ("openssl client wanted",        HTTPS, CLIENT,   "L7OK",   "",                           V13),
    ("openssl client wanted",        HTTPS, STRANGER, "L6RSP",  "alert: unknown CA",          V13),
    ("openssl client, 1.2",          HTTPS, PLAIN,    "L6RSP",  "alert: handshake failure",   V12),
    ("openssl client, 1.2",          TLS,   PLAIN,    "L6RSP",  "alert: handshake failure",   V12),
    ("openssl client, 1.2",          TLS,   CLIENT,   "L6OK",   "",                           V12),
    // names and protocols
    ("haproxy name wanted",          HTTPS, PLAIN,    "L6RSP",  "alert",                      NONE),
    ("haproxy name wanted",          HTTPS, MISNAMED, "L6RSP",  "alert: unrecognized name",   NONE),
    ("haproxy name wanted",          HTTPS, NAMED,    "L7OK",   "",                           V13),
    ("haproxy name wanted",          HTTPS, HOST,     "L7OK",   "",                           V13),
    ("haproxy h2",                   TLS,   H2,       "L6OK",   "",                           V13),
    ("haproxy h2, http/1.1",         HTTPS, HTTP11,   "L7OK",   "",                           V13),
    ("nginx",                        TLS,   H2,       "L6OK",   "",                           V13),
    ("nginx",                        HTTPS, HTTP11,   "L7OK",   "",                           V13),
    ("openssl alpn",                 TLS,   H2,       "L6RSP",  "no application protocol",    NONE),
    // sessions
    ("nginx no tickets",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx no tickets 1.2",         HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("nginx session ids",            HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("haproxy no tickets",           HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("haproxy no tickets 1.2",       HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("openssl no tickets",           HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("openssl no cache",             HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("openssl stateful",             HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl no ticket sent",       HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl 40 tickets",           HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl stateless",            HTTPS, PLAIN,    "L7OK",   "",                           V13),
    // introduced by a PROXY header, once per connection
    ("nginx PROXY",                  HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("nginx PROXY",                  TLS,   PROXY,    "L6OK",   "",                           V13),
    ("nginx PROXY",                  HTTPS, PROXY2,   "L7OK",   "",                           V13),
    ("nginx PROXY",                  HTTPS, KEPT,     "L7OK",   "",                           V13),
    ("nginx PROXY",                  HTTPS, KEPT2,    "L7OK",   "",                           V13),
    ("nginx PROXY, no TLS",          HTTP,  KEPT,     "L7OK",   "",                           NONE),
    ("nginx PROXY, no TLS",          HTTP,  KEPT2,    "L7OK",   "",                           NONE),
    ("haproxy PROXY",                HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("haproxy PROXY",                TLS,   PROXY2,   "L6OK",   "",                           V13),
    ("haproxy PROXY",                HTTPS, PROXY,    "L7OK",   "",                           V13),
    ("haproxy PROXY",                HTTPS, KEPT,     "L7OK",   "",                           V13),
    ("haproxy PROXY",                HTTPS, KEPT2,    "L7OK",   "",                           V13),
    // sizes
    ("nginx chain of 20",            HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx chain of 20",            HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    ("nginx chain, 1.2",             HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("nginx 19 too many",            HTTPS, VERIFY,   "L7OK",   "",                           V13),
    ("haproxy 20 in a chain",        HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("openssl 20 in a chain",        TLS,   PLAIN,    "L6OK",   "",                           V12),
    ("openssl small records",        HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("nginx tiny records",           HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("certificate of 60 KB",         HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("certificate of rubbish",       HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("certificate of rubbish",       HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    ("certificate cut off",          HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("certificate cut off",          HTTPS, VERIFY,   "L6RSP",  "certificate",                V13),
    // no TLS
    ("nginx no TLS",                 HTTPS, PLAIN,    "L6RSP",  "not TLS",                    NONE),
    ("HTTP",                         TLS,   PLAIN,    "L6RSP",  "not TLS",                    NONE),
    ("SSH",                          TLS,   PLAIN,    "L6RSP",  "not TLS",                    NONE),
    ("SMTP",                         HTTPS, PLAIN,    "L6RSP",  "not TLS",                    NONE),
    ("binary",                       HTTPS, PLAIN,    "L6RSP",  "not TLS",                    NONE),
    ("zeros",                        HTTPS, PLAIN,    "L6RSP",  "not TLS",                    NONE),
    // handshakes that come to nothing
    ("silent",                       TLS,   PLAIN,    "L6TOUT", "",                           NONE),
    ("silent after ClientHello",     HTTPS, PLAIN,    "L6TOUT", "",                           NONE),
    ("part of a record",             HTTPS, PLAIN,    "L6TOUT", "",                           NONE),
    ("silent after ServerHello",     HTTPS, PLAIN,    "L6TOUT", "",                           V13),
    ("silent after ServerHello 1.2", TLS,   PLAIN,    "L6TOUT", "",                           V12),
    ("drip",                         HTTPS, PLAIN,    "L6TOUT", "",                           NONE),
    ("FIN at once",                  HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("RST at once",                  HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("FIN after ClientHello",        TLS,   PLAIN,    "L6RSP",  "",                           NONE),
    ("RST after ClientHello",        TLS,   PLAIN,    "L6RSP",  "",                           NONE),
    ("FIN in a record",              HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("FIN after ServerHello",        HTTPS, PLAIN,    "L6RSP",  "",                           V13),
    ("RST after ServerHello",        HTTPS, PLAIN,    "L6RSP",  "",                           V13),
    ("FIN after ServerHello 1.2",    HTTPS, PLAIN,    "L6RSP",  "",                           V12),
    ("RST after ServerHello 1.2",    TLS,   PLAIN,    "L6RSP",  "",                           V12),
    ("alert",                        HTTPS, PLAIN,    "L6RSP",  "alert: internal error",      NONE),
    ("alert: name",                  HTTPS, PLAIN,    "L6RSP",  "alert: unrecognized name",   NONE),
    ("alert of no meaning",          HTTPS, PLAIN,    "L6RSP",  "alert",                      NONE),
    ("close_notify at once",         HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("its own ClientHello",          HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("Finished at once",             HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    ("wrong ServerHello",            HTTPS, PLAIN,    "L6RSP",  "",                           NONE),
    // answers, and what stands in their place
    ("no close_notify",              HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("no close_notify, 1.2",         HTTPS, PLAIN,    "L7OK",   "",                           V12),
    ("close_notify",                 HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("RST after the answer",         HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("answers before it is asked",   HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("KeyUpdate before the answer",  HTTPS, PLAIN,    "L7OK",   "",                           V13),
    ("503",                          HTTPS, PLAIN,    "L7STS",  "503",                        V13),
    ("rubbish over TLS",             HTTPS, PLAIN,    "L7RSP",  "",                           V13),
    ("half a head",                  HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("half a head, no close_notify", HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("no answer, close_notify",      HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("no answer, FIN",               HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("no answer, RST",               HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("close_notify, no request",     HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("FIN, no request",              HTTPS, PLAIN,    "L7CUT",  "",                           V13),
    ("FIN, no request",              TLS,   PLAIN,    "L6OK",   "",                           V13),
    ("no answer",                    HTTPS, PLAIN,    "L7TOUT", "",                           V13),
    ("no answer",                    TLS,   PLAIN,    "L6OK",   "",                           V13),
    ("half a head, then silence",    HTTPS, PLAIN,    "L7TOUT", "",                           V13),
    ("plain text after handshake",   HTTPS, PLAIN,    "L7RSP",  "",                           V13),
    ("wrong MAC",                    HTTPS, PLAIN,    "L7RSP",  "",                           V13),
    ("wrong MAC, 1.2",               HTTPS, PLAIN,    "L7RSP",  "",                           V12),
];
