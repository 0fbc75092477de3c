package dnssec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// BenchmarkUnit says what a check of a wrong signature takes with each kind of key, and
// what that is for one unit of its cost. No key shall take much more for a unit than
// P-256 does: 200 units a question are to stay below 20 ms on one idle core. In CPU time
// of go1.26 on amd64, as a multiple of P-256, and the units that Cost returns:
//
//	                e = 3          65537       2^31-1
//	RSA 1024      0.06    1     0.1    1     0.3    1
//	RSA 2048      0.2     1     0.4    1     0.9    1
//	RSA 3072      0.9     2     2.1    4     6      9
//	RSA 4096      2       3     4.9    6    12     15
//	P-384         7.7 to 9.6   10
//	Ed25519       0.6           1
func BenchmarkUnit(b *testing.B) {
	keys := map[string]func() (PublicKey, error){}
	for _, bits := range []uint{1024, 2048, 3072, 4096} {
		for _, exponent := range []int64{3, 65537, maxRSAExponent} {
			keys[fmt.Sprintf("RSA %d, e=%d", bits, exponent)] = func() (PublicKey, error) {
				return rsaSHA256.ParseKey(rsaPublic(exponent, bits))
			}
		}
	}
	for label, algorithm := range map[string]uint8{
		"P-256": dns.ECDSAP256SHA256, "P-384": dns.ECDSAP384SHA384, "Ed25519": dns.ED25519,
	} {
		keys[label] = func() (PublicKey, error) {
			key := newSigningKey(b, "example.", "ksk", 257, algorithm).dnskey
			set, err := NewRRset(key)
			if err != nil {
				return nil, err
			}
			parsed, err := ParseKey(firstOf(set.Records))
			if err != nil {
				return nil, err
			}
			return builtin()[algorithm].ParseKey(parsed.PublicKey)
		}
	}
	for label, make := range keys {
		key, err := make()
		if err != nil {
			b.Fatalf("%s: %v", label, err)
		}
		// In the range that each algorithm takes, so that it computes.
		signature := map[bool]string{true: "\x01" + strings.Repeat("s", 63), false: "\x01" + strings.Repeat("s", 95)}[strings.HasPrefix(label, "P-256") || label == "Ed25519"]
		if rsa, ok := key.(*rsaKey); ok {
			signature = "\x01" + strings.Repeat("s", rsa.key.Size()-1)
		}
		if label == "Ed25519" { // its second half is a number below the order, from its low end on
			signature = strings.Repeat("s", 63) + "\x00"
		}
		message := []byte(strings.Repeat("m", 200))
		b.Run(label, func(b *testing.B) {
			for b.Loop() {
				if key.Verify(message, signature) {
					b.Fatal("a wrong signature is good")
				}
			}
			b.ReportMetric(float64(key.Cost()), "units")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(key.Cost()), "ns/unit")
		})
	}
}

func firstOf(fields Packed) string {
	for field := range fields.All() {
		return field
	}
	return ""
}
