package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// errNoMatch says that no TLSA record goes with the certificates.
var errNoMatch = errors.New("no TLSA record matches the server's certificates")

// verify says what vouches for the certificates that a server has sent, its own first;
// it fails when nothing does.
func (p *place) verify(sent []*x509.Certificate, roots *x509.CertPool, now time.Time) (string, error) {
	if len(sent) == 0 {
		return "", errors.New("the server has sent no certificate")
	}
	if len(p.tlsa) == 0 {
		if _, err := p.chains(sent, roots, now); err != nil {
			return "", &tls.CertificateVerificationError{UnverifiedCertificates: sent, Err: err}
		}
		return "no DANE, since " + p.why + "; the certificate is good for " + hostText(p.names[0]), nil
	}
	failures := []error{errNoMatch}
	for _, t := range p.tlsa {
		err := p.match(t, sent, roots, now)
		if err == nil {
			return describe(t) + " at " + fmt.Sprintf("_%d._tcp.%s", p.port, p.base) + " matches", nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", describe(t), err))
	}
	return "", errors.Join(failures...)
}

var errOther = errors.New("is of another certificate")

// match checks one record by its usage (RFC 6698 §2.1.1, RFC 7671 §5).
func (p *place) match(t *dns.TLSA, sent []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	const pkixTA, pkixEE, daneTA, daneEE = 0, 1, 2, 3
	switch t.Usage {
	case daneEE: // neither names nor dates count, RFC 7671 §5.1
		if !isOf(t, sent[0]) {
			return errOther
		}
		return nil
	case daneTA:
		anchors := anchorsOf(t, sent[1:])
		if len(anchors) == 0 {
			return errOther
		}
		pool := x509.NewCertPool()
		for _, anchor := range anchors {
			pool.AddCert(anchor)
		}
		_, err := p.chains(sent, pool, now)
		return err
	case pkixTA, pkixEE:
		chains, err := p.chains(sent, roots, now)
		if err != nil {
			return err
		}
		for _, chain := range chains {
			vouching := chain[:1]
			if t.Usage == pkixTA {
				vouching = chain[1:]
			}
			if slices.ContainsFunc(vouching, func(c *x509.Certificate) bool { return isOf(t, c) }) {
				return nil
			}
		}
		return errOther
	}
	return fmt.Errorf("unknown usage %d", t.Usage)
}

// anchorsOf returns the certificates that a record of usage 2 makes trust anchors: those
// sent, or the one that it holds itself.
func anchorsOf(t *dns.TLSA, sent []*x509.Certificate) []*x509.Certificate {
	var anchors []*x509.Certificate
	for _, c := range sent {
		if isOf(t, c) {
			anchors = append(anchors, c)
		}
	}
	if t.Selector == 0 && t.MatchingType == 0 {
		if der, err := hex.DecodeString(t.Certificate); err == nil {
			if c, err := x509.ParseCertificate(der); err == nil {
				anchors = append(anchors, c)
			}
		}
	}
	return anchors
}

// isOf reports whether a record is of a certificate (RFC 6698 §2.1.2, §2.1.3).
func isOf(t *dns.TLSA, c *x509.Certificate) bool {
	selected := c.Raw
	if t.Selector == 1 {
		selected = c.RawSubjectPublicKeyInfo
	}
	switch t.MatchingType {
	case 1:
		sum := sha256.Sum256(selected)
		selected = sum[:]
	case 2:
		sum := sha512.Sum512(selected)
		selected = sum[:]
	}
	want, err := hex.DecodeString(t.Certificate)
	return err == nil && bytes.Equal(want, selected)
}

// chains checks the certificates as PKIX does, for one of the names.
func (p *place) chains(sent []*x509.Certificate, roots *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return nil, err
	}
	var wrong error
	for _, name := range p.names {
		if wrong = sent[0].VerifyHostname(hostText(name)); wrong == nil {
			return chains, nil
		}
	}
	return nil, wrong
}
