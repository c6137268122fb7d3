"""Mail clients and the shipped scripts smtp, pop3 and imap: they complete their work, unmodified."""

import email.message
import email.policy
import random
import re

import pytest

from script_tools import Relay, mail_data, needs, run_client, serve

FIRST = (b"From: Anna <anna@example.org>\r\nTo: marcel@example.org\r\nSubject: Bonjour\r\n"
         b"Date: Sun, 22 Nov 2026 15:01:42 +0000\r\n\r\nEt vous ?\r\n")
SECOND = (b"From: Bert <bert@example.org>\r\nTo: marcel@example.org\r\nSubject: Dots\r\n"
          b"Date: Sun, 22 Nov 2026 16:20:00 +0000\r\n\r\n"
          b"The next line is a dot, and the one after it begins with two.\r\n.\r\n..\r\n"
          b"That was all.\r\n")
LETTER = (b"From: Anna <anna@example.org>\r\nTo: marcel@example.org\r\nSubject: Bonjour\r\n\r\n"
          b"The next line is a dot.\r\n.\r\nA } and a ) are no end, either. Et vous ?\r\n")

# "anna" and "knock knock", as they go over the wire.
SECRETS = ["AGFubmEAa25vY2sga25vY2s=", "YW5uYQ==", "a25vY2sga25vY2s=", "knock knock"]


@pytest.fixture
def smtp(marceld):
    return serve(marceld, "smtp")


@pytest.fixture
def pop3(marceld):
    return serve(marceld, "pop3")


@pytest.fixture
def imap(marceld):
    return serve(marceld, "imap")


def counted(text):
    """What the server says it took, in the OUTPUT of a client: all such numbers."""
    return [int(number) for number in re.findall(rb"250 2\.0\.0 \S+: (\d+) bytes taken", text)]


def logged_in(daemon):
    """Somebody logged in, and no record has how."""
    daemon.stop()
    assert "C> (withheld)" in daemon.errors()
    for secret in SECRETS:
        assert secret not in daemon.errors()


def big_mail(path, size=5 << 20):
    """A mail with an attachment of SIZE bytes and lines of dots, and CRLF at the ends of lines."""
    mail = email.message.EmailMessage(email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = "anna@example.org", "bert@example.org", "a lot"
    mail.set_content("Here it is.\n.\n..\n.hidden\n\n.\n")
    mail.add_attachment(random.Random(4).randbytes(size), "application", "octet-stream",
                        filename="noise.bin")
    path.write_bytes(mail.as_bytes())
    return path


# SMTP.

@needs("swaks")
@pytest.mark.parametrize("pipeline", [[], ["--pipeline"]], ids=["step by step", "pipelined"])
def test_swaks_several_recipients(smtp, tmp_path, pipeline):
    with Relay(smtp.port) as relay:
        result = run_client(
            "swaks", "--server", "127.0.0.1", "--port", str(relay.port), "--helo", "swaks.test",
            "--from", "anna@example.org", "--to", "bert@example.org,carol@example.org,dan@example.org",
            "--body", "one\\n.\\n..two\\nfin\\n\\nlast", *pipeline, home=tmp_path)
    for name in (b"bert", b"carol", b"dan"):
        assert b"250 2.1.5 " + name + b"@example.org OK" in result.stdout
    assert counted(result.stdout) == [len(mail_data(relay.sent[0]))]
    assert b"221 2.0.0" in result.stdout
    assert smtp.wait_record("responder_log").message == (
        "mail from anna@example.org to bert@example.org, carol@example.org, dan@example.org: "
        f"{len(mail_data(relay.sent[0]))} bytes")


@needs("swaks")
def test_swaks_pipelines_in_one_segment(smtp, tmp_path):
    """swaks writes MAIL, RCPT and DATA at once, as the server offered it; each reply in order."""
    result = run_client(
        "swaks", "--server", "127.0.0.1", "--port", str(smtp.port), "--helo", "swaks.test",
        "--from", "anna@example.org", "--to", "bert@example.org,nobody@example.org,carol@example.org",
        "--pipeline", home=tmp_path, status=(0, 24))
    replies = re.findall(rb"^<(?:-|\*\*) +(\d{3})[ -]([^\n]*)", result.stdout, re.M)
    codes = [code for code, _ in replies]
    assert codes[-7:] == [b"250", b"250", b"550", b"250", b"354", b"250", b"221"], result.stdout


@needs("swaks")
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_swaks_logs_in(smtp, tmp_path, method):
    result = run_client(
        "swaks", "--server", "127.0.0.1", "--port", str(smtp.port), "--helo", "swaks.test",
        "--from", "anna@example.org", "--to", "bert@example.org", "--auth", method,
        "--auth-user", "anna", "--auth-password", "knock knock", home=tmp_path)
    assert b"235 2.7.0" in result.stdout
    assert len(counted(result.stdout)) == 1
    logged_in(smtp)


@needs("swaks")
def test_swaks_busy_recipient_at_the_second_try(smtp, tmp_path):
    result = run_client(
        "swaks", "--server", "127.0.0.1", "--port", str(smtp.port), "--helo", "swaks.test",
        "--from", "anna@example.org", "--to", "busy@example.org,busy@example.org",
        home=tmp_path, status=(0, 24))
    assert result.stdout.index(b"450 4.2.1") < result.stdout.index(b"250 2.1.5")
    assert len(counted(result.stdout)) == 1


@needs("swaks")
def test_swaks_is_told_of_nobody(smtp, tmp_path):
    """24: none of the recipients was taken (swaks(1), EXIT CODES)."""
    result = run_client(
        "swaks", "--server", "127.0.0.1", "--port", str(smtp.port), "--helo", "swaks.test",
        "--from", "anna@example.org", "--to", "nobody@example.org", home=tmp_path, status=24)
    assert b"550 5.1.1" in result.stdout


@needs("msmtp")
@pytest.mark.parametrize("login", ["off", "plain", "login"])
def test_msmtp(smtp, tmp_path, login):
    options = ["--auth=off"] if login == "off" else [
        f"--auth={login}", "--user=anna", "--passwordeval=echo knock knock"]
    mail = b"From: anna@example.org\nTo: bert@example.org\nSubject: Bonjour\n\n.\n..\nEt vous ?\n"
    with Relay(smtp.port) as relay:
        result = run_client(
            "msmtp", "--host=127.0.0.1", f"--port={relay.port}", "--tls=off", "--debug",
            "--from=anna@example.org", *options, "bert@example.org", "carol@example.org",
            home=tmp_path, input=mail)
    wire = mail_data(relay.sent[0])
    assert wire.endswith(b"\r\n\r\n.\r\n..\r\nEt vous ?\r\n")
    assert counted(result.stdout + result.stderr) == [len(wire)]
    if login != "off":
        assert b"235 2.7.0" in result.stdout + result.stderr
        logged_in(smtp)


@needs("msmtp")
def test_msmtp_asks_what_the_server_can_do(smtp, tmp_path):
    result = run_client("msmtp", "--host=127.0.0.1", f"--port={smtp.port}", "--tls=off",
                        "--serverinfo", home=tmp_path)
    for ability in (b"PIPELINING", b"SIZE 33554432", b"PLAIN", b"LOGIN"):
        assert ability in result.stdout


@needs("curl")
def test_curl_big_mail(smtp, tmp_path):
    """5 MB and their base64, lines of dots among them: what arrives is what was in the file."""
    mail = big_mail(tmp_path / "mail")
    size = mail.stat().st_size
    assert size > 5 << 20
    with Relay(smtp.port) as relay:
        result = run_client(
            "curl", "-sSv", f"smtp://127.0.0.1:{relay.port}/curl.test", "-T", mail,
            "--mail-from", "anna@example.org", "--mail-rcpt", "bert@example.org",
            "--mail-rcpt", "carol@example.org", home=tmp_path)
    assert mail_data(relay.sent[0]) == mail.read_bytes()
    assert counted(result.stderr) == [size]


@needs("curl")
def test_curl_attachment(smtp, tmp_path):
    """curl makes the mail itself, with an attachment of 5 MB in base64."""
    noise = tmp_path / "noise.bin"
    noise.write_bytes(random.Random(5).randbytes(5 << 20))
    with Relay(smtp.port) as relay:
        result = run_client(
            "curl", "-sSv", f"smtp://127.0.0.1:{relay.port}/curl.test",
            "--mail-from", "anna@example.org", "--mail-rcpt", "bert@example.org",
            "-F", "=Here it is.;type=text/plain", "-F", f"=@{noise};encoder=base64",
            "-H", "Subject: a lot", home=tmp_path)
    wire = mail_data(relay.sent[0])
    mail = email.message_from_bytes(wire)
    assert [part.get_payload(decode=True) for part in mail.walk()][-1] == noise.read_bytes()
    assert counted(result.stderr) == [len(wire)]


@needs("curl")
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("initial", [[], ["--sasl-ir"]], ids=["asked", "at once"])
def test_curl_logs_in(smtp, tmp_path, method, initial):
    mail = tmp_path / "mail"
    mail.write_bytes(b"Subject: Bonjour\r\n\r\nEt vous ?\r\n")
    result = run_client(
        "curl", "-sSv", f"smtp://127.0.0.1:{smtp.port}/curl.test", "-T", mail,
        "--mail-from", "anna@example.org", "--mail-rcpt", "bert@example.org",
        "-u", "anna:knock knock", "--login-options", f"AUTH={method}", *initial, home=tmp_path)
    assert b"235 2.7.0" in result.stderr
    assert counted(result.stderr) == [mail.stat().st_size]
    logged_in(smtp)


@needs("curl")
def test_curl_is_told_of_too_much(smtp, tmp_path):
    """55 is CURLE_SEND_ERROR, 56 CURLE_RECV_ERROR; what matters is the reply: 552."""
    mail = tmp_path / "mail"
    with mail.open("wb") as file:
        for _ in range(33):
            file.write(b"x" * 62 + b"\r\n" + (b"y" * 1022 + b"\r\n") * 1024)
    result = run_client(
        "curl", "-sSv", f"smtp://127.0.0.1:{smtp.port}/curl.test", "-T", mail,
        "--mail-from", "anna@example.org", "--mail-rcpt", "bert@example.org",
        home=tmp_path, status=(8, 25, 55, 56))
    assert b"552 5.3.4" in result.stderr


# POP3.

@needs("curl")
def test_curl_pop3(pop3, tmp_path):
    server = f"pop3://127.0.0.1:{pop3.port}"
    user = ("-u", "anna:knock knock")
    assert run_client("curl", "-sS", *user, f"{server}/", home=tmp_path).stdout == \
        b"1 125\r\n2 196\r\n"
    assert run_client("curl", "-sS", *user, f"{server}/1", home=tmp_path).stdout == FIRST
    assert run_client("curl", "-sS", *user, f"{server}/2", home=tmp_path).stdout == SECOND
    assert (len(FIRST), len(SECOND)) == (125, 196)
    assert run_client("curl", "-sS", *user, "-X", "UIDL", f"{server}/", home=tmp_path).stdout == \
        b"1 mail-1\r\n2 mail-2\r\n"
    assert run_client("curl", "-sS", *user, "-X", "TOP 2 0", f"{server}/", home=tmp_path).stdout \
        == SECOND[:SECOND.index(b"\r\n\r\n") + 4]
    # One connection: delete, then see what is left.
    result = run_client("curl", "-sSv", *user, "-l", "-X", "DELE 1", f"{server}/1",
                        "--next", "-sSv", *user, f"{server}/", home=tmp_path)
    assert b"> DELE 1" in result.stderr
    # 67: CURLE_LOGIN_DENIED.
    run_client("curl", "-sS", "-u", "anna:wrong", f"{server}/", home=tmp_path, status=67)
    logged_in(pop3)


def fetch(daemon, protocol, home, *options):
    """fetchmail gets what DAEMON has, and gives its output and what its own mda was given."""
    mails = home / "mails"
    mda = home / "mda"
    mda.write_text(f"#!/bin/sh\ncat >>{mails}\necho ======== >>{mails}\n")
    mda.chmod(0o755)
    settings = home / "fetchmailrc"
    settings.write_text(
        "set no syslog\nset no bouncemail\n"
        f'poll 127.0.0.1 service {daemon.port} protocol {protocol} auth password\n'
        f'user "anna" password "knock knock" is "marcel" here sslproto "" {" ".join(options)}\n'
        f'mda "{mda}"\n')
    settings.chmod(0o600)
    result = run_client("fetchmail", "-v", "-v", "-f", settings, "--pidfile", home / "pid",
                        "-i", home / "ids", home=home)
    return result.stdout + result.stderr, mails.read_bytes()


@needs("fetchmail")
def test_fetchmail_pop3(pop3, tmp_path):
    said, mails = fetch(pop3, "pop3", tmp_path, "nokeep", "fetchall")
    first, second, end = mails.split(b"========\n")
    assert end == b""
    assert first.endswith(b"\n\nEt vous ?\n") and b"Subject: Bonjour\n" in first
    assert second.endswith(b"begins with two.\n.\n..\nThat was all.\n")
    assert said.count(b"POP3> DELE") == 2
    assert b"2 messages for anna" in said
    logged_in(pop3)


@needs("fetchmail")
def test_fetchmail_imap(imap, tmp_path):
    said, mails = fetch(imap, "imap", tmp_path, "nokeep", "fetchall")
    mail, end = mails.split(b"========\n")
    assert end == b""
    assert mail.endswith(b"is a dot.\n.\nA } and a ) are no end, either. Et vous ?\n")
    assert b"Subject: Bonjour\n" in mail
    assert b"+FLAGS (\\Seen \\Deleted)" in said
    assert b"* 1 EXPUNGE" in said
    logged_in(imap)


# IMAP.

@needs("curl")
def test_curl_imap(imap, tmp_path):
    server = f"imap://127.0.0.1:{imap.port}"

    def curl(path, *options, status=0):
        return run_client("curl", "-sS", "-u", "anna:knock knock", f"{server}/{path}", *options,
                          home=tmp_path, status=status).stdout

    assert curl("") == b'* LIST () "/" INBOX\r\n'
    header, body = LETTER[:LETTER.index(b"\r\n\r\n") + 4], LETTER[LETTER.index(b"\r\n\r\n") + 4:]
    assert curl("INBOX;MAILINDEX=1") == LETTER
    assert curl("INBOX;UID=1") == LETTER
    assert curl("INBOX;UID=1;SECTION=TEXT") == body
    assert curl("INBOX;UID=1;SECTION=HEADER") == header
    assert curl("INBOX?ALL") == b"* SEARCH 1\r\n"
    assert curl("INBOX?SUBJECT%20Bonjour") == b"* SEARCH 1\r\n"
    assert curl("INBOX?SUBJECT%20nothing") == b"* SEARCH\r\n"
    assert b"* 1 EXISTS" in curl("INBOX", "-X", "EXAMINE INBOX")
    assert curl("INBOX", "-X", "STORE 1 +FLAGS (\\Deleted)") == \
        b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n"
    # 67: CURLE_LOGIN_DENIED; 78: CURLE_REMOTE_FILE_NOT_FOUND.
    run_client("curl", "-sS", "-u", "anna:wrong", f"{server}/", home=tmp_path, status=67)
    curl("INBOX;UID=7", status=78)
    logged_in(imap)
