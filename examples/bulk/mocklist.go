package main

import (
	"bufio"
	"fmt"
	"io"
)

// mockZones is how many zones hostN.example. mock.txt has.
const mockZones = 8

// writeMockList writes a list of n names of mock.txt: most have an address, and some do not
// exist, lead elsewhere, are below servers that are silent, or are no names.
func writeMockList(w io.Writer, n int) error {
	b := bufio.NewWriter(w)
	for i := range n {
		fmt.Fprintln(b, mockLine(i))
	}
	return b.Flush()
}

func mockLine(i int) string {
	zone := i % mockZones
	switch {
	case i%1000 == 997:
		return fmt.Sprintf("https://n%d.host%d.example/", i, zone)
	case i%1000 == 499:
		return fmt.Sprintf("n%d.dead.example", i)
	case i%1000 == 599:
		return fmt.Sprintf("n%d.bogus.example", i)
	case i%200 == 99:
		return fmt.Sprintf("bücher%d.host%d.example", i, zone)
	case i%50 == 13:
		return fmt.Sprintf("n%d.alias.example", i)
	case i%20 == 7:
		return fmt.Sprintf("n%d.empty%d.example", i, zone%2)
	}
	return fmt.Sprintf("n%d.host%d.example", i, zone)
}
