package serve

import "github.com/miekg/dns"

// Rotate turns the records of each RRset of an answer, so that clients that take the first
// one spread over all (RFC 1794). Aliases stay before what they lead to, and signatures
// behind what they cover. turn returns by how many places n records are to be turned; nil
// turns nothing.
func Rotate(answer []dns.RR, turn func(n int) int) {
	if turn == nil {
		return
	}
	for start := 0; start < len(answer); {
		end := start + 1
		for end < len(answer) && isSameSet(answer[start], answer[end]) {
			end++
		}
		if set := answer[start:end]; len(set) > 1 && set[0].Header().Rrtype != dns.TypeRRSIG {
			turnLeft(set, turn(len(set)))
		}
		start = end
	}
}

func isSameSet(a, b dns.RR) bool {
	return a.Header().Rrtype == b.Header().Rrtype && a.Header().Name == b.Header().Name
}

// turnLeft puts the first by records behind the others; by may be any number.
func turnLeft(set []dns.RR, by int) {
	n := len(set)
	by = (by%n + n) % n
	turned := append(append(make([]dns.RR, 0, n), set[by:]...), set[:by]...)
	copy(set, turned)
}
