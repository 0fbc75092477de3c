// Dane connects to a TLS server and checks its certificate against the TLSA records of
// its name (RFC 6698, RFC 7671), validated with DNSSEC by this very program.
//
//	go run ./examples/dane [-roots FILE] HOST:PORT
//
// What the TLSA records are decides what happens:
//
//   - Secure and of use: one of them has to match. Usage 3 (DANE-EE) needs nothing else,
//     neither names nor dates (RFC 7671 §5.1); usage 2 (DANE-TA) a chain to the matching
//     certificate, with names and dates; usages 0 and 1 also a chain to a root
//     certificate of the system, or of -roots.
//   - None, or none of use, or their zone is not signed (Insecure): there is no DANE, and
//     the certificate is checked as a browser does.
//   - Bogus, or no answer: nothing is sent to the server (RFC 6698 §4.1). An attacker
//     may have removed the records to hide that the certificate is forged.
//
// The exit status is 0 when the server is who it says it is, by DANE or without; 1 when
// not; 2 when the command line makes no sense.
//
// The records are looked for at the end of the host's alias chain first, if that is
// Secure (RFC 7671 §7).
//
// # Limitations
//
// A trust anchor of usage 2 that is a bare key (selector 1, matching type 0) is found
// among the certificates that the server sends only. STARTTLS is not there.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// Exit statuses.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

// handshakeTime is how long one address of the server may take.
const handshakeTime = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], resolver.Options{}, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

const usage = `usage: dane [flags] HOST:PORT

Connects to a TLS server and checks its certificate against the TLSA records of its
name, _PORT._tcp.HOST, which are looked up and validated from the root servers down.
Without such records, or when their zone is not signed, the certificate is checked
against root certificates, as browsers do. When DNSSEC validation fails, nothing is
sent to the server. Exit status: 0 the server is who it says it is, 1 it is not or
cannot be reached, 2 the command line is invalid.

    dane www.example.com:443
    dane -roots own-ca.pem db.example.com:5432

`

// run is main without the process.
func run(ctx context.Context, args []string, options resolver.Options, stdout, stderr io.Writer) int {
	stdout, stderr = resolver.PrintableWriter(stdout), resolver.PrintableWriter(stderr)
	flags := flag.NewFlagSet("dane", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	file := flags.String("roots", "", "root certificates in this `file` (PEM) instead of the system's")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitGood
	} else if err != nil {
		return exitUsage
	}
	host, port, err := net.SplitHostPort(flags.Arg(0))
	if err != nil || host == "" || flags.NArg() != 1 {
		fmt.Fprintln(stderr, "dane: want one HOST:PORT; -h shows how to use it")
		return exitUsage
	}
	roots, err := readRoots(*file)
	if err != nil {
		fmt.Fprintf(stderr, "dane: %v\n", err)
		return exitUsage
	}
	text, err := check(ctx, options, host, port, roots)
	if err != nil {
		fmt.Fprintf(stderr, "dane: %s: %v\n", flags.Arg(0), err)
		return exitBad
	}
	fmt.Fprintf(stdout, "%s: %s\n", flags.Arg(0), text)
	return exitGood
}

// readRoots reads root certificates; nil, which is the system's, of no file.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificates", file)
	}
	return pool, nil
}

// check connects to the server and says what vouches for it.
func check(ctx context.Context, options resolver.Options, host, port string, roots *x509.CertPool) (text string, err error) {
	r, err := resolver.New(options)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	place, err := find(ctx, r, host, port)
	if err != nil {
		return "", err
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	var failures []error
	for _, addr := range addrs {
		text, err := handshake(ctx, netip.AddrPortFrom(addr, place.port), place, roots)
		var wrong *tls.CertificateVerificationError
		switch {
		case err == nil:
			return text, nil
		case errors.As(err, &wrong), errors.Is(err, errNoMatch):
			return "", err // another address is no reason to believe less
		}
		failures = append(failures, err)
	}
	return "", errors.Join(failures...)
}

// handshake does not go beyond the handshake unless the certificate is good.
func handshake(ctx context.Context, addr netip.AddrPort, place *place, roots *x509.CertPool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var text string
	dialer := tls.Dialer{Config: &tls.Config{
		ServerName: strings.TrimSuffix(place.base, "."),
		// The check is done here, not left out.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			text, err = place.verify(state.PeerCertificates, roots, time.Now())
			return err
		},
	}}
	conn, err := dialer.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return "", err
	}
	return text, conn.Close()
}
