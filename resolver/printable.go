package resolver

import (
	"io"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/printable"
)

// Printable returns text with every byte of unprintable characters as \DDD, the form of
// zone files (RFC 1035 §5.1): control characters, line ends and tabs included, characters
// that change the direction of writing, and invalid UTF-8. Text from servers (RDATA,
// extended errors, the names in certificates) may hold any of them, and terminals obey
// some.
func Printable(text string) string { return printable.Except(text, "") }

// PrintableRR returns a record in the syntax of zone files, as its String method does, but
// printable: not all types of miekg/dns escape their data. The tabs between its fields
// stay.
func PrintableRR(rr dns.RR) string {
	if null, ok := rr.(*dns.NULL); ok {
		shown := *null
		shown.Data = Printable(null.Data)
		rr = &shown
	}
	return printable.Except(rr.String(), "\t")
}

// PrintableWriter returns a writer to w that makes what is written to it printable, except
// for line ends and tabs. It is for the output of programs, so that no text of servers
// reaches a terminal unescaped, even in a line where Printable was forgotten. A character
// must not be split between two writes.
func PrintableWriter(w io.Writer) io.Writer { return printableWriter{w} }

type printableWriter struct{ w io.Writer }

// Write writes b, made printable. It returns the count of bytes of b.
func (p printableWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, printable.Lines(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
