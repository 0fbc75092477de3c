package stub

import (
	"net"
	"slices"
)

// SortMX orders MX records by preference, and at random where that is equal (RFC 5321
// §5.1). intn returns a random number below its argument.
func SortMX(records []*net.MX, intn func(int) int) {
	for i := len(records) - 1; i > 0; i-- {
		j := intn(i + 1)
		records[i], records[j] = records[j], records[i]
	}
	slices.SortStableFunc(records, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
}

// SortSRV orders SRV records by priority, and those of one priority by drawing them one
// after another with chances by weight; those without weight come last, with the small
// chance to come earlier that RFC 2782 gives them. intn returns a random number below its
// argument.
func SortSRV(records []*net.SRV, intn func(int) int) {
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return int(a.Priority) - int(b.Priority) })
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Priority == records[0].Priority {
			n++
		}
		drawByWeight(records[:n], intn)
		records = records[n:]
	}
}

// drawByWeight puts the records in the order of RFC 2782: those of weight 0 are
// put first, a number from 0 to the sum of the weights is drawn, and the first record
// at which the running sum reaches it is next.
func drawByWeight(records []*net.SRV, intn func(int) int) {
	sum := 0
	for _, s := range records {
		sum += int(s.Weight)
	}
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return firstIf(a.Weight == 0, b.Weight == 0) })
	for ; len(records) > 1; records = records[1:] {
		drawn, running, next := intn(sum+1), 0, 0
		for i, s := range records {
			if running += int(s.Weight); running >= drawn {
				next = i
				break
			}
		}
		chosen := records[next]
		copy(records[1:next+1], records[:next])
		records[0] = chosen
		sum -= int(chosen.Weight)
	}
}
