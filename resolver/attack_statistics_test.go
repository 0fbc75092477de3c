package resolver_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// draw is what an attacker that cannot see a query must guess about it.
type draw struct {
	group    int // the group of goroutines that sent it
	id, port uint16
	spelling uint16 // a bit for each of the ten letters: upper case
}

const (
	letters = 10 // of the names asked for

	// alarm is the probability below which a test is one that failed. With fewer than a
	// hundred of them a run, honest draws fail one run in 10^8.
	alarm = 1e-10
)

// upperGamma is the regularised incomplete gamma function Q(a, x): of the series below the
// mean, of the continued fraction above (Lentz).
func upperGamma(a, x float64) float64 {
	if x <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 {
		term := 1 / a
		sum := term
		for n := a + 1; term > sum*1e-16; n++ {
			term *= x / n
			sum += term
		}
		return 1 - scale*sum
	}
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for i := 1.0; i < 1e6; i++ {
		an := -i * (i - a)
		b += 2
		d = 1 / notZero(an*d+b)
		c = notZero(b + an/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-14 {
			break
		}
	}
	return scale * h
}

func notZero(x float64) float64 {
	if math.Abs(x) < 1e-300 {
		return 1e-300
	}
	return x
}

// chiSquareP is how probable counts as far from the expected ones, or farther, are.
func chiSquareP(seen, want []float64, freedom int) float64 {
	sum := 0.0
	for i := range seen {
		if want[i] > 0 {
			sum += (seen[i] - want[i]) * (seen[i] - want[i]) / want[i]
		}
	}
	return upperGamma(float64(freedom)/2, sum/2)
}

// uniformP compares counts with those that weights make one expect.
func uniformP(seen, weight []float64) float64 {
	n, all := sumOf(seen), sumOf(weight)
	want := make([]float64, len(seen))
	for i, w := range weight {
		want[i] = n * w / all
	}
	return chiSquareP(seen, want, len(seen)-1)
}

func sumOf(counts []float64) (sum float64) {
	for _, c := range counts {
		sum += c
	}
	return sum
}

// independentP tests whether rows and columns of a table depend on each other.
func independentP(table [][]float64) float64 {
	rows, columns, all := make([]float64, len(table)), make([]float64, len(table[0])), 0.0
	for i, row := range table {
		for j, n := range row {
			rows[i] += n
			columns[j] += n
			all += n
		}
	}
	var seen, want []float64
	for i, row := range table {
		for j, n := range row {
			seen = append(seen, n)
			want = append(want, rows[i]*columns[j]/all)
		}
	}
	return chiSquareP(seen, want, (len(rows)-1)*(len(columns)-1))
}

// serialP is the serial test of NIST SP 800-22 §2.11 on a string of bits: whether all
// patterns of m overlapping bits are equally frequent.
func serialP(bits []byte, m int) float64 {
	psi := func(m int) float64 {
		if m == 0 {
			return 0
		}
		counts := make([]float64, 1<<m)
		pattern := 0
		for i := range len(bits) + m - 1 {
			pattern = (pattern<<1 | int(bits[i%len(bits)])) & (1<<m - 1)
			if i >= m-1 {
				counts[pattern]++
			}
		}
		sum := 0.0
		for _, c := range counts {
			sum += c * c
		}
		n := float64(len(bits))
		return sum*float64(int(1)<<m)/n - n
	}
	first, second := psi(m)-psi(m-1), psi(m)-2*psi(m-1)+psi(m-2)
	return min(upperGamma(math.Ldexp(1, m-2), first/2), upperGamma(math.Ldexp(1, m-3), second/2))
}

// monobitP is the frequency test of NIST SP 800-22 §2.1.
func monobitP(bits []byte) float64 {
	sum := 0
	for _, b := range bits {
		sum += 2*int(b) - 1
	}
	return math.Erfc(math.Abs(float64(sum)) / math.Sqrt(2*float64(len(bits))))
}

// bitsOf writes values one after the other, the lowest n bits of each.
func bitsOf(draws []draw, n int, value func(draw) uint16) []byte {
	bits := make([]byte, 0, n*len(draws))
	for _, d := range draws {
		for i := n - 1; i >= 0; i-- {
			bits = append(bits, byte(value(d)>>i&1))
		}
	}
	return bits
}

// portPlaces numbers the ports that a query may be sent from; the others are -1.
func portPlaces() (places []int, n int) {
	places = make([]int, 1<<16)
	unusable := []int{1434, 1900, 2152, 3702, 4500, 4789, 4791, 5060, 5353, 6081, 11211} // internal/transport
	for p := range places {
		if places[p] = -1; p >= 1024 && !slices.Contains(unusable, p) {
			places[p] = n
			n++
		}
	}
	return places, n
}

// quantity is one of the things to be guessed: a number below size.
type quantity struct {
	name string
	size int
	of   func(draw) int
}

func quantities() []quantity {
	places, n := portPlaces()
	return []quantity{
		{"ID", 1 << 16, func(d draw) int { return int(d.id) }},
		{"port", n, func(d draw) int { return places[d.port] }},
		{"letter case", 1 << letters, func(d draw) int { return int(d.spelling) }},
	}
}

// weaknesses are the tests that draws fail, each as a line with its probability.
func weaknesses(draws []draw) (found []string, tests int) {
	report := func(p float64, format string, args ...any) {
		tests++
		if !(p >= alarm) { // NaN too
			found = append(found, fmt.Sprintf(format, args...)+fmt.Sprintf(": p = %.3g", p))
		}
	}
	all := quantities()
	for _, q := range all {
		for _, d := range draws {
			if v := q.of(d); v < 0 || v >= q.size {
				return []string{fmt.Sprintf("%s of %+v is none that may be used", q.name, d)}, 1
			}
		}
		report(uniformP(q.count(draws, 256, q.high)), "chi-square of the high bits of the %s", q.name)
		report(uniformP(q.count(draws, 256, q.low)), "chi-square of the low bits of the %s", q.name)
		if len(draws) >= 5*q.size {
			report(uniformP(q.count(draws, q.size, q.high)), "chi-square of the %s", q.name)
		}
		groups := make([][]float64, 1+slices.MaxFunc(draws, func(a, b draw) int { return a.group - b.group }).group)
		for i := range groups {
			own := ofGroup(draws, i)
			groups[i], _ = q.count(own, 64, q.high)
			report(uniformP(q.steps(own)), "chi-square of the steps from %s to %s", q.name, q.name)
			report(q.follows(own, q.high), "independence of the high bits of one %s and the next", q.name)
			report(q.follows(own, q.low), "independence of the low bits of one %s and the next", q.name)
		}
		if len(groups) > 1 {
			report(independentP(groups), "chi-square of the %s by group", q.name)
		}
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			for _, part := range []struct {
				name string
				of   func(quantity, int, int) int
			}{{"high", quantity.high}, {"low", quantity.low}} {
				table := newTable()
				for _, d := range draws {
					table[part.of(a, a.of(d), 16)][part.of(b, b.of(d), 16)]++
				}
				report(independentP(table), "independence of the %s bits of %s and %s", part.name, a.name, b.name)
			}
		}
	}
	for _, bits := range []struct {
		name string
		all  []byte
	}{
		{"ID", bitsOf(draws, 16, func(d draw) uint16 { return d.id })},
		{"letter case", bitsOf(draws, letters, func(d draw) uint16 { return d.spelling })},
	} {
		report(monobitP(bits.all), "monobit test of the %s", bits.name)
		for _, m := range []int{4, 8} {
			report(serialP(bits.all, m), "serial test of the %s, %d bits", bits.name, m)
		}
	}
	for bit := range 16 {
		report(monobitP(bitsOf(draws, 1, func(d draw) uint16 { return d.id >> bit })), "monobit test of bit %d of the ID", bit)
	}
	for bit := range letters {
		report(monobitP(bitsOf(draws, 1, func(d draw) uint16 { return d.spelling >> bit })), "monobit test of letter %d", bit)
	}
	return found, tests
}

// high and low return the cell of n that a value falls into, by its high or its low bits.
func (q quantity) high(v, n int) int { return v * n / q.size }
func (q quantity) low(v, n int) int  { return v % n }

// count counts draws by cell, and returns how many values each cell has.
func (q quantity) count(draws []draw, n int, cell func(v, n int) int) (seen, weight []float64) {
	seen, weight = make([]float64, n), make([]float64, n)
	for v := range q.size {
		weight[cell(v, n)]++
	}
	for _, d := range draws {
		seen[cell(q.of(d), n)]++
	}
	return seen, weight
}

// steps counts the differences between values that follow each other.
func (q quantity) steps(draws []draw) (seen, weight []float64) {
	const n = 64
	seen, weight = q.count(nil, n, q.high)
	for i := 1; i < len(draws); i++ {
		step := q.of(draws[i]) - q.of(draws[i-1])
		seen[q.high((step+q.size)%q.size, n)]++
	}
	return seen, weight
}

// follows tests whether a value depends on the one before it.
func (q quantity) follows(draws []draw, cell func(v, n int) int) float64 {
	table := newTable()
	for i := 1; i < len(draws); i++ {
		table[cell(q.of(draws[i-1]), len(table))][cell(q.of(draws[i]), len(table))]++
	}
	return independentP(table)
}

func newTable() [][]float64 {
	table := make([][]float64, 16)
	for i := range table {
		table[i] = make([]float64, len(table))
	}
	return table
}

// ofGroup returns the draws of one group.
func ofGroup(draws []draw, group int) []draw {
	var own []draw
	for _, d := range draws {
		if d.group == group {
			own = append(own, d)
		}
	}
	return own
}

// collisionBits is the collision entropy of a quantity, in bits: how hard it is to guess.
// deviation is that of the estimate.
func collisionBits(draws []draw, q quantity) (bits, deviation float64) {
	counts := make(map[int]float64)
	for _, d := range draws {
		counts[q.of(d)]++
	}
	pairs := 0.0
	for _, c := range counts {
		pairs += c * (c - 1) / 2
	}
	n := float64(len(draws))
	if pairs == 0 {
		return math.Log2(n * (n - 1) / 2), math.Inf(1)
	}
	return math.Log2(n * (n - 1) / 2 / pairs), 1 / math.Sqrt(pairs) / math.Ln2
}

// honestDraws are what a resolver should do, out of another generator than it uses.
func honestDraws(n, groups int) []draw {
	places, _ := portPlaces()
	random := make([]byte, 6*n)
	rand.Read(random)
	draws := make([]draw, n)
	for i := range draws {
		o := random[6*i:]
		d := draw{group: i % groups, id: binary.BigEndian.Uint16(o), port: binary.BigEndian.Uint16(o[2:]), spelling: binary.BigEndian.Uint16(o[4:]) & (1<<letters - 1)}
		for places[d.port] < 0 {
			rand.Read(o[2:4])
			d.port = binary.BigEndian.Uint16(o[2:])
		}
		draws[i] = d
	}
	return draws
}

// TestAttackStatistics: the tests that TestAttackEntropy relies on pass honest draws, and
// find what resolvers have got wrong.
func TestAttackStatistics(t *testing.T) {
	// Quantiles out of printed tables.
	for _, tt := range []struct{ freedom, x, p float64 }{{1, 3.841, 0.05}, {10, 18.307, 0.05}, {10, 29.588, 0.001}, {100, 149.449, 0.001}, {5, 1.145, 0.95}} {
		if got := upperGamma(tt.freedom/2, tt.x/2); math.Abs(got-tt.p) > tt.p/1000 {
			t.Errorf("chi-square %v, %v degrees of freedom: got p = %v, want %v", tt.x, tt.freedom, got, tt.p)
		}
	}
	const n, groups = 20_000, 4
	found, tests := weaknesses(honestDraws(n, groups))
	if tests > 100 || len(found) > 0 {
		t.Errorf("%d tests of honest draws, failed: %q; want 100 at most, and none", tests, found)
	}
	counter := uint16(0)
	for name, spoil := range map[string]func(i int, d *draw){
		"constant high byte of the ID":          func(_ int, d *draw) { d.id = 0x1200 | d.id&0xFF },
		"constant low byte of the ID":           func(_ int, d *draw) { d.id &= 0xFF00 },
		"a bit of the ID set 55 times in 100":   func(i int, d *draw) { d.id |= []uint16{1, 0, 0, 0, 0, 0, 0, 0, 0, 0}[i%10] << 5 },
		"IDs that count":                        func(_ int, d *draw) { counter++; d.id = counter * 257 },
		"ID that follows from the last one":     func(i int, d *draw) { counter = counter*25173 + 13849; d.id = counter },
		"sequential ports":                      func(i int, d *draw) { d.port = uint16(20000 + i%40000) },
		"ports of the system's range":           func(_ int, d *draw) { d.port = 32768 + d.port%28232 },
		"ports of a few sockets that stay open": func(_ int, d *draw) { d.port = 2000 + d.port%100*600 },
		"ports by goroutine":                    func(_ int, d *draw) { d.port = uint16(10000 + d.group*10000 + int(d.port)%10000) },
		"a port that no query may come from":    func(i int, d *draw) { d.port = []uint16{5353, d.port}[min(i, 1)] },
		"ID and port from one draw":             func(_ int, d *draw) { d.port = max(d.id, 12000) },
		"letters as in the question":            func(_ int, d *draw) { d.spelling = 0 },
		"first letter never upper case":         func(_ int, d *draw) { d.spelling &^= 1 },
		"letters out of the ID":                 func(_ int, d *draw) { d.spelling = d.id & (1<<letters - 1) },
		"one spelling for a name":               func(i int, d *draw) { d.spelling = uint16(i/2) * 40503 >> 6 },
	} {
		draws := honestDraws(n, groups)
		for i := range draws {
			spoil(i, &draws[i])
		}
		if found, _ := weaknesses(draws); len(found) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
}
