package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// config is what the command line asks for.
type config struct {
	files []string // none: standard input

	types      []uint16
	dnssec     bool
	signatures bool
	wildcards  bool
	duplicates duplicates
	opinion    bool

	output string // "": standard output
	resume bool

	minConcurrency, maxConcurrency int
	serverRate                     float64 // queries a second; 0: no limit
	serverQueries                  int
	attempts                       int
	retryAfter                     time.Duration
	waiting                        int
	cacheMiB                       int
	warm                           bool

	progress      progressForm
	progressEvery time.Duration

	ipv4, ipv6             bool
	hints, anchors, mock   string // files; "": none
	localRoot              string // as resolver.LocalRootSource; "": none
	port                   uint
	allow                  []netip.Prefix
	secondLevel, secretKey string

	schema, compare bool
	mockList        int
}

const usage = `usage: bulk [flags] [FILE...]

Resolves the names of the files, or of standard input, and writes one JSON line for each
question. A line of a list is a name, or a name and types: "example.com MX,TXT".

`

// Bounds of flags.
const (
	maxTypes       = 32
	maxConcurrency = 100_000
	maxAttempts    = 20
	maxCacheMiB    = 1 << 20
)

// parseArgs reads the command line.
func parseArgs(args []string, stderr io.Writer) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("bulk", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are reported by the caller
	types := flags.String("type", "A", "`types` to ask for at names without types of their own, such as A,AAAA,MX,HTTPS")
	flags.BoolVar(&c.dnssec, "dnssec", true, "validate the answers; -dnssec=false saves queries and processor time")
	flags.BoolVar(&c.signatures, "signatures", false, "write RRSIG records too")
	flags.BoolVar(&c.wildcards, "wildcards", false, "allow names that begin with *, which are errors otherwise")
	repeated := flags.String("duplicates", "mark", "how to treat a question that appeared earlier in the lists: `mode` mark adds \"duplicate\":true to its line, error writes an error instead of asking, ignore does not detect duplicates")
	flags.BoolVar(&c.opinion, "second-opinion", false, "ask another server of an unsigned zone before a name counts as one that does not exist")
	flags.StringVar(&c.output, "o", "", "write to this `file` instead of standard output")
	flags.BoolVar(&c.resume, "resume", false, "continue where the file of -o ends, if it exists")
	flags.IntVar(&c.minConcurrency, "concurrency-min", 16, "smallest `number` of questions under way")
	flags.IntVar(&c.maxConcurrency, "concurrency", 1000, "largest `number` of questions under way; how many there are is chosen by latency and load")
	flags.Float64Var(&c.serverRate, "server-rate", 150, "largest `number` of queries a second to one server address; 0: no limit")
	flags.IntVar(&c.serverQueries, "server-queries", 20, "largest `number` of queries under way to one server address")
	flags.IntVar(&c.attempts, "attempts", 3, "`number` of attempts at a question whose failure may be temporary")
	flags.DurationVar(&c.retryAfter, "retry-after", 6*time.Second, "pause before the second attempt, twice as long before the next, and so on; the resolver remembers a failure for 5 s")
	flags.IntVar(&c.waiting, "waiting", 10_000, "`number` of questions that may wait for another attempt before no new ones begin")
	flags.IntVar(&c.cacheMiB, "cache", 128, "limit of the cache in `MiB`")
	flags.BoolVar(&c.warm, "warm", true, "ask for the top-level domains of the lists once before the names, if the lists are files")
	form := flags.String("progress", "auto", "`form` of the progress: bar, lines, none, or auto: a bar on a terminal and lines elsewhere")
	flags.DurationVar(&c.progressEvery, "progress-every", 10*time.Second, "time between lines of progress")
	flags.BoolVar(&c.ipv4, "4", false, "ask servers over IPv4 only")
	flags.BoolVar(&c.ipv6, "6", false, "ask servers over IPv6 only")
	flags.StringVar(&c.hints, "hints", "", "begin at the root servers of this `file`")
	flags.StringVar(&c.anchors, "anchors", "", "trust the keys of this `file` (DS or DNSKEY records)")
	flags.StringVar(&c.localRoot, "local-root", "", "answer instead of the root servers from a verified copy of the root zone (RFC 8806): a `file`, a URL, or axfr for the public servers")
	flags.UintVar(&c.port, "port", 53, "`port` of the authoritative servers")
	flags.Func("allow", "`prefixes` of servers that may be asked though they are not public, such as 10.0.0.0/8,fd00::/8", c.setAllow)
	flags.StringVar(&c.mock, "mock", "", "resolve in the mock Internet of this `file` (see package resolvertest)")
	flags.IntVar(&c.mockList, "mock-list", 0, "print a list of this `number` of names for mock.txt, and exit")
	flags.StringVar(&c.secondLevel, "second-level", "", "share what the workers learn through the Redis at this `URL`, such as redis://192.0.2.6:6379")
	flags.StringVar(&c.secretKey, "second-level-key", "", "`file` with the secret that the workers share, of 16 bytes or more")
	flags.BoolVar(&c.schema, "schema", false, "print the JSON Schema of the lines, and exit")
	flags.BoolVar(&c.compare, "compare", false, "compare the statuses in two output files, and exit")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if c.files, err = filesOf(args, flags.Args()); err != nil {
		return nil, err
	}
	if c.types, err = parseTypes(*types); err != nil {
		return nil, fmt.Errorf("-type: %w", err)
	}
	if c.progress, err = parseProgressForm(*form); err != nil {
		return nil, err
	}
	if c.duplicates, err = parseDuplicates(*repeated); err != nil {
		return nil, err
	}
	return c, c.check()
}

// filesOf returns the files of a command line: rest is what follows its flags. A flag after a file would be
// taken for a file.
func filesOf(args, rest []string) ([]string, error) {
	if before := len(args) - len(rest); before > 0 && args[before-1] == "--" {
		return rest, nil
	}
	for i, word := range rest {
		if i > 0 && len(word) > 1 && word[0] == '-' {
			return nil, fmt.Errorf("%.40q follows the file %.80q: flags go before the files (the file of that name is ./%.40s)", word, rest[i-1], word)
		}
	}
	return rest, nil
}

func (c *config) setAllow(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		c.allow = append(c.allow, prefix)
	}
	return nil
}

// check returns what is wrong with the flags.
func (c *config) check() error {
	if slices.Contains(c.files, "-") && len(c.files) > 1 {
		return errors.New("-, for standard input, goes with no other file")
	}
	if slices.Equal(c.files, []string{"-"}) {
		c.files = nil
	}
	switch {
	case c.compare && len(c.files) != 2:
		return errors.New("-compare needs two files")
	case c.resume && c.output == "":
		return errors.New("-resume needs -o FILE")
	case c.minConcurrency < 1 || c.maxConcurrency < c.minConcurrency || c.maxConcurrency > maxConcurrency:
		return fmt.Errorf("-concurrency must be from -concurrency-min, which is at least 1, to %d", maxConcurrency)
	case !(c.serverRate == 0 || c.serverRate >= minServerRate && c.serverRate <= 1e9):
		return fmt.Errorf("-server-rate must be 0, or at least %v", minServerRate)
	case c.serverQueries < 1:
		return errors.New("-server-queries must be at least 1")
	case c.attempts < 1 || c.attempts > maxAttempts:
		return fmt.Errorf("-attempts must be from 1 to %d", maxAttempts)
	case c.retryAfter < 0 || c.retryAfter > time.Hour:
		return errors.New("-retry-after must be from 0 to 1h")
	case c.waiting < 1:
		return errors.New("-waiting must be at least 1")
	case c.cacheMiB < 1 || c.cacheMiB > maxCacheMiB:
		return fmt.Errorf("-cache must be from 1 to %d", maxCacheMiB)
	case c.progressEvery < 100*time.Millisecond:
		return errors.New("-progress-every must be at least 100ms")
	case c.ipv4 && c.ipv6:
		return errors.New("-4 and -6 exclude each other")
	case c.port < 1 || c.port > 65535:
		return errors.New("-port must be from 1 to 65535")
	case c.mock != "" && (c.hints != "" || c.anchors != "" || c.port != 53 || c.localRoot != ""):
		return errors.New("-mock excludes -hints, -anchors, -port and -local-root: a mock Internet has its own")
	case c.secretKey != "" && c.secondLevel == "":
		return errors.New("-second-level-key needs -second-level")
	case c.mockList < 0:
		return errors.New("-mock-list must not be negative")
	}
	return nil
}

// parseTypes reads types separated by commas, each as its mnemonic or as in RFC 3597 §5.
func parseTypes(list string) ([]uint16, error) {
	var types []uint16
	for word := range strings.SplitSeq(list, ",") {
		t, err := parseType(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if len(types) > maxTypes {
		return nil, fmt.Errorf("more than %d types", maxTypes)
	}
	return types, nil
}

func parseType(word string) (uint16, error) {
	upper := strings.ToUpper(word)
	t, ok := dns.StringToType[upper]
	if digits, generic := strings.CutPrefix(upper, "TYPE"); !ok && generic {
		n, err := strconv.ParseUint(digits, 10, 16)
		t, ok = uint16(n), err == nil
	}
	switch {
	case word == "":
		return 0, errors.New("a type is missing before or after a comma")
	case !ok:
		return 0, fmt.Errorf("%.40q is no record type", word)
	case t == 0: // RFC 6895 §3.1
		return 0, errors.New("TYPE0 is reserved: no name has records of it")
	case t == dns.TypeAXFR, t == dns.TypeIXFR:
		return 0, fmt.Errorf("%s asks for the transfer of a zone, not for records of a name", dns.Type(t))
	case t == dns.TypeOPT, t >= 128 && t <= 254: // RFC 6895 §3.1
		return 0, fmt.Errorf("%s is a type of queries or messages: no name has records of it", dns.Type(t))
	}
	return t, nil
}

// parseFile reads what a flag names.
func parseFile[T any](name, path string, parse func(io.Reader) (T, error)) (T, error) {
	var none T
	file, err := os.Open(path)
	if err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	defer file.Close()
	value, err := parse(file)
	if err != nil {
		return none, fmt.Errorf("%s: %s: %w", name, path, err)
	}
	return value, nil
}
