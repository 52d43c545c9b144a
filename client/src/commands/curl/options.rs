//! Which of curl's long options take a value: what stands behind the others may be an address.

/// Whether the option of exactly this name does.
pub(super) fn takes_value(name: &str) -> bool {
    VALUED.split_ascii_whitespace().any(|valued| valued == name)
}

/// As curl 7.88 lists them, and what came since. One text: a table of texts is an address for each, which the loader has to
/// mend at every start of the program.
const VALUED: &str = "
    abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config connect-timeout
    connect-to continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii data-binary
    data-raw data-urlencode delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header
    ech egd-file engine etag-compare etag-save expect100-timeout form form-string ftp-account
    ftp-alternative-to-user ftp-method ftp-port ftp-ssl-ccc-mode happy-eyeballs-timeout-ms haproxy-clientip
    header hostpubmd5 hostpubsha256 hsts interface ip-tos ipfs-gateway json keepalive-cnt keepalive-time key
    key-type knownhosts krb libcurl limit-rate local-port login-options mail-auth mail-from mail-rcpt
    max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output output-dir parallel-max
    parallel-max-host pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-cacert proxy-capath
    proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass
    proxy-pinnedpubkey proxy-service-name proxy-sigalgs proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword
    proxy-tlsuser proxy-user proxy1.0 pubkey quote random-file range rate referer request request-target resolve
    retry retry-delay retry-max-time sasl-authzid service-name sigalgs signature-algorithms socks4 socks4a
    socks5 socks5-gssapi-service socks5-hostname speed-limit speed-time stderr telnet-option tftp-blksize
    time-cond tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace trace-ascii trace-config unix-socket
    upload-file upload-flags url url-query user user-agent variable vlan-priority write-out
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_what_takes_a_value_and_nothing_else() {
        assert!(takes_value("proxy") && takes_value("url") && takes_value("data-raw") && !takes_value("silent"));
    }

    /// Whatever curl is here knows no option with a value that the list does not.
    #[cfg(unix)]
    #[test]
    fn curls_own_list_holds_no_other() {
        let Ok(output) = std::process::Command::new("curl").args(["--help", "all"]).output() else { return };
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some((_, option)) = line.split_once("--") else { continue };
            let mut words = option.split_whitespace();
            let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            assert!(!value.starts_with('<') || name == "help" || takes_value(name), "{name}");
        }
    }
}
