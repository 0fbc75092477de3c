package dnssec

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// rsaPublic makes a public key field (RFC 3110 §2) of an exponent and a modulus of so
// many bits, all ones.
func rsaPublic(exponent int64, bits uint) string {
	e := big.NewInt(exponent).Bytes()
	n := new(big.Int).Lsh(big.NewInt(1), bits)
	n.Sub(n, big.NewInt(1))
	return string(rune(len(e))) + string(e) + string(n.Bytes())
}

func TestRSAKeys(t *testing.T) {
	long := strings.Repeat("\x01", 300)
	for label, c := range map[string]struct {
		public string
		err    error
	}{
		"1024 bits":              {rsaPublic(65537, 1024), nil},
		"1025 bits":              {rsaPublic(65537, 1025), nil},
		"4096 bits":              {rsaPublic(65537, 4096), nil},
		"exponent 3":             {rsaPublic(3, 2048), nil},
		"largest exponent":       {rsaPublic(maxRSAExponent, 2048), nil},
		"leading zeros":          {"\x05\x00\x00\x01\x00\x01\x00\x00" + rsaPublic(3, 2048)[2:], nil},
		"length in three bytes":  {"\x00\x00\x03\x01\x00\x01" + rsaPublic(3, 2048)[2:], nil},
		"1023 bits":              {rsaPublic(65537, 1023), ErrUnsupportedKey},
		"512 bits":               {rsaPublic(65537, 512), ErrUnsupportedKey},
		"4097 bits":              {rsaPublic(65537, 4097), ErrUnsupportedKey},
		"64 KiB":                 {rsaPublic(65537, 500_000), ErrUnsupportedKey},
		"exponent 2^31+1":        {rsaPublic(1<<31+1, 2048), ErrUnsupportedKey},
		"exponent of five bytes": {rsaPublic(1<<33+1, 2048), ErrUnsupportedKey},
		"exponent of 300 bytes":  {"\x00\x01\x2c" + long + rsaPublic(3, 2048)[2:], ErrUnsupportedKey},
		"even exponent":          {rsaPublic(65536, 2048), ErrMalformedKey},
		"exponent 1":             {rsaPublic(1, 2048), ErrMalformedKey},
		"exponent 0":             {"\x01\x00" + rsaPublic(3, 2048)[2:], ErrMalformedKey},
		"even modulus":           {rsaPublic(3, 2048)[:257] + "\xFE", ErrMalformedKey},
		"empty":                  {"", ErrMalformedKey},
		"no modulus":             {"\x01\x03", ErrMalformedKey},
		"exponent cut short":     {"\x05\x03", ErrMalformedKey},
		"three bytes cut short":  {"\x00\x01", ErrMalformedKey},
		"modulus of zeros":       {"\x01\x03" + strings.Repeat("\x00", 256), ErrMalformedKey},
	} {
		key, err := rsaSHA256.ParseKey(c.public)
		if !errors.Is(err, c.err) || (err == nil) != (key != nil) {
			t.Errorf("%s: got %v, want %v", label, err, c.err)
		}
		if key != nil && key.Verify([]byte("message"), strings.Repeat("s", 256)) {
			t.Errorf("%s: verifies rubbish", label)
		}
	}
}

// TestRSACost: size and exponent count; the worst key allowed takes some P-256.
func TestRSACost(t *testing.T) {
	for _, c := range []struct {
		exponent int64
		bits     uint
		want     int
	}{
		{3, 1024, 1}, {65537, 1024, 1}, {maxRSAExponent, 1024, 1}, {65537, 1280, 1}, {65537, 1536, 1},
		{3, 2048, 1}, {65537, 2048, 1}, {maxRSAExponent, 2048, 1}, {65537, 2049, 2},
		{3, 3072, 2}, {65537, 3072, 4}, {maxRSAExponent, 3072, 9},
		{3, 4096, 3}, {65537, 4096, 6}, {maxRSAExponent, 4096, 15},
	} {
		key, err := rsaSHA256.ParseKey(rsaPublic(c.exponent, c.bits))
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Cost(); got != c.want {
			t.Errorf("%d bits, exponent %d: got %d units, want %d", c.bits, c.exponent, got, c.want)
		}
	}
}

func TestCurveKeys(t *testing.T) {
	p256 := newSigningKey(t, "example.", "ksk", 257, dns.ECDSAP256SHA256)
	p384 := newSigningKey(t, "example.", "ksk", 257, dns.ECDSAP384SHA384)
	ed := newSigningKey(t, "example.", "ksk", 257, dns.ED25519)
	public := func(k signingKey) string {
		_, rdata, err := pack(k.dnskey)
		if err != nil {
			t.Fatal(err)
		}
		return rdata[4:]
	}
	for label, c := range map[string]struct {
		algorithm Algorithm
		public    string
		ok        bool
	}{
		"P-256":                   {ecdsaP256, public(p256), true},
		"P-256, a byte less":      {ecdsaP256, public(p256)[1:], false},
		"P-256, a byte more":      {ecdsaP256, public(p256) + "\x00", false},
		"P-256, not on the curve": {ecdsaP256, public(p256)[:63] + "\x00", false},
		"P-256, zero":             {ecdsaP256, strings.Repeat("\x00", 64), false},
		"P-256 with its 04":       {ecdsaP256, "\x04" + public(p256), false},
		"P-384":                   {ecdsaP384, public(p384), true},
		"P-384 of P-256":          {ecdsaP384, public(p256), false},
		"Ed25519":                 {ed25519Algorithm{}, public(ed), true},
		"Ed25519, a byte less":    {ed25519Algorithm{}, public(ed)[1:], false},
		"Ed25519, a byte more":    {ed25519Algorithm{}, public(ed) + "\x00", false},
		"Ed25519, empty":          {ed25519Algorithm{}, "", false},
	} {
		key, err := c.algorithm.ParseKey(c.public)
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrMalformedKey) {
			t.Errorf("%s: got %v, want ok=%v", label, err, c.ok)
		}
		if key == nil {
			continue
		}
		for _, size := range []int{0, 63, 64, 65, 95, 96, 97} { // RFC 6605 §4, RFC 8080 §4: exact lengths
			for _, fill := range []string{"\x00", "\x01", "\xFF"} {
				if key.Verify([]byte("message"), strings.Repeat(fill, size)) {
					t.Errorf("%s: verifies rubbish of %d bytes", label, size)
				}
			}
		}
	}
}

// TestSignatureLengths: a good signature with a byte more or less.
func TestSignatureLengths(t *testing.T) {
	for _, algorithm := range []uint8{dns.RSASHA256, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		k := newSigningKey(t, "example.", "ksk", 257, algorithm)
		_, rdata, err := pack(k.dnskey)
		if err != nil {
			t.Fatal(err)
		}
		key, err := builtin()[algorithm].ParseKey(rdata[4:])
		if err != nil {
			t.Fatal(err)
		}
		set := mustSet(t, k.dnskey, k.sign(t, testValidity, k.dnskey))
		for rdata := range set.Signatures.All() {
			sig, err := ParseSignature(rdata)
			if err != nil {
				t.Fatal(err)
			}
			m := signedMessage{set: set}
			message := m.signedData(&sig)
			for label, c := range map[string]struct {
				signature string
				want      bool
			}{
				"as it is":      {sig.Signature, true},
				"a byte more":   {sig.Signature + "\x00", false},
				"a zero before": {"\x00" + sig.Signature, false},
				"a byte less":   {sig.Signature[:len(sig.Signature)-1], false},
				"empty":         {"", false},
			} {
				if got := key.Verify(message, c.signature); got != c.want {
					t.Errorf("%s, %s: got %v, want %v", AlgorithmName(algorithm), label, got, c.want)
				}
			}
		}
	}
}

// TestHashes: all hash functions are linked in.
func TestHashes(t *testing.T) {
	for _, h := range []crypto.Hash{rsaSHA1.hash, rsaSHA256.hash, rsaSHA512.hash, ecdsaP256.hash, ecdsaP384.hash} {
		if !h.Available() {
			t.Errorf("%s is not available", h)
		}
	}
}

func TestParseRecords(t *testing.T) {
	for label, parse := range map[string]func(string) error{
		"DNSKEY": func(s string) error { _, err := ParseKey(s); return err },
		"DS":     func(s string) error { _, err := ParseDS(s); return err },
		"RRSIG":  func(s string) error { _, err := ParseSignature(s); return err },
	} {
		for _, rdata := range []string{"", "\x01\x00\x03\x08", strings.Repeat("x", rrsigFixed) + "\x03ab", strings.Repeat("x", rrsigFixed) + "\xC0\x01ab"} {
			if label != "RRSIG" && len(rdata) > 4 {
				continue
			}
			if err := parse(rdata); !errors.Is(err, ErrRecord) {
				t.Errorf("%s of %q: got %v", label, rdata, err)
			}
		}
	}
	if _, err := ParseSignature(strings.Repeat("x", rrsigFixed) + "\x00"); !errors.Is(err, ErrRecord) {
		t.Errorf("RRSIG without a signature: got %v", err)
	}
}

// TestKeyTag compares with miekg/dns, except for algorithm 1, whose tag is 16 bits of
// the last 24 of the modulus (RFC 4034 appendix B.1).
func TestKeyTag(t *testing.T) {
	for _, algorithm := range []uint8{dns.RSASHA256, dns.ED25519} {
		for _, size := range []int{4, 5, 64, 65, 259, 1000} {
			var public []byte
			for i := range size {
				public = append(public, byte(i*7+size))
			}
			record := &dns.DNSKEY{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
				Flags: 257, Protocol: 3, Algorithm: algorithm, PublicKey: base64Of(public)}
			_, rdata, err := pack(record)
			if err != nil {
				t.Fatal(err)
			}
			key, err := ParseKey(rdata)
			if err != nil || key.Tag != record.KeyTag() {
				t.Errorf("%s, %d bytes: got %d, %v, want %d", AlgorithmName(algorithm), size, key.Tag, err, record.KeyTag())
			}
		}
	}
	if got := keyTag("\x01\x00\x03\x01\x01\x03abcdef"); got != 'd'<<8|'e' {
		t.Errorf("RSAMD5: got %#x", got)
	}
	if got := keyTag("\x01\x00\x03\x01x"); got != 0 {
		t.Errorf("RSAMD5 without a modulus: got %d", got)
	}
}

// TestDERSignature compares with package encoding/asn1: the numbers of a signature are of a
// fixed size in an RRSIG record (RFC 6605 §4), and as short as they can be in DER.
func TestDERSignature(t *testing.T) {
	type signature struct{ R, S *big.Int }
	for _, size := range []int{32, 48} {
		numbers := []string{
			strings.Repeat("\x00", size-1) + "\x01", strings.Repeat("\x00", size-1) + "\x80",
			"\x00\x7f" + strings.Repeat("\x00", size-2), "\x00\x80" + strings.Repeat("n", size-2),
			strings.Repeat("\x7f", size), strings.Repeat("\x80", size), strings.Repeat("\xff", size),
		}
		for _, r := range numbers {
			for _, s := range numbers {
				want, err := asn1.Marshal(signature{new(big.Int).SetBytes([]byte(r)), new(big.Int).SetBytes([]byte(s))})
				if err != nil {
					t.Fatal(err)
				}
				var buf [maxDERSignature]byte
				got, ok := appendDERSignature(buf[:0], r, s)
				if !ok || string(got) != string(want) || &got[0] != &buf[0] {
					t.Errorf("r = %x, s = %x: got %x, %v, want %x where there is room", r, s, got, ok, want)
				}
			}
			zero := strings.Repeat("\x00", size)
			for _, pair := range [][2]string{{zero, r}, {r, zero}, {zero, zero}} {
				if der, ok := appendDERSignature(nil, pair[0], pair[1]); ok {
					t.Errorf("r = %x, s = %x: got %x, want none", pair[0], pair[1], der)
				}
			}
		}
	}
}
