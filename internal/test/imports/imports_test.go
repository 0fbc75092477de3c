package imports

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is a package of the module.
type room struct {
	name string
	// may lists what it may import of the module, separated by spaces.
	may string
	// why says what the package is for, and so why it needs nothing else.
	why string
}

// rooms lists the packages from the top down: a package may import only what stands below it.
// Tools and examples need no row: see isOutside.
var rooms = []room{
	{"examples/proxy", "cache dnssec dnssec/anchorfile resolver resolver/debugpage resolver/roothttp rootHints internal/snapshot",
		"it is built of what users have, but for the snapshots that it shares with the plugin for CoreDNS"},
	{"examples/trace", "dnssec glue internal/drawing resolver resolver/resolvertest rootHints",
		"it is built of what users have, but for the drawing that it shares with the debug page"},
	{"examples/zone", "dnssec internal/drawing resolver resolver/resolvertest",
		"it is built of what users have, but for the drawing that it shares with examples/trace"},
	{"resolver/debugpage", "cache dnssec internal/dnsname internal/drawing resolver",
		"it shows a resolver to those who run it: it knows nothing that a program could not know"},
	{"resolver/roothttp", "resolver",
		"it fetches over HTTP what a resolver verifies: it looks into nothing"},
	{"internal/drawing", "dnssec glue resolver",
		"it draws what a trace and a chain of trust say: it asks nothing"},
	{"resolver/caa", "dnssec resolver",
		"it decides for a certification authority by what a resolver finds: it knows nothing that a program could not know"},
	{"resolver/resolvertest", "resolver dnssec glue internal/dnsname internal/scenario internal/wire internal/zonetext",
		"it is an Internet in memory for tests: it may know the resolver, and no package may know it"},
	{"resolver", "cache dnssec glue internal/anchorkeeper internal/answer internal/budget internal/dnsname internal/env internal/events internal/failure internal/infra internal/iterate internal/limits internal/localroot internal/localzone internal/mesh internal/policy internal/printable internal/reach internal/rescue internal/routes internal/scrub internal/secondlevel internal/serve internal/slist internal/stub internal/transport internal/upstream internal/wire internal/zonecheck internal/zonetext rootHints",
		"it is the surface: the options, what is returned, and the fan-out of traces"},
	{"internal/zonecheck", "cache dnssec glue internal/answer internal/dnsname internal/env internal/failure internal/iterate internal/limits internal/mesh internal/rescue internal/routes internal/scrub internal/slist internal/upstream internal/wire",
		"it says which zone holds a name and what each of its servers says: it sends nothing by itself"},
	{"internal/stub", "dnssec internal/dnsname internal/rescue",
		"it is what package net does above DNS: it asks no server, and knows no cache"},
	{"internal/anchorkeeper", "dnssec internal/dnsname internal/rescue",
		"it keeps trust anchors up to date: keys are fetched, judged and used by others"},
	{"internal/serve", "cache dnssec internal/answer internal/dnsname internal/env internal/failure internal/iterate internal/mesh internal/rescue internal/routes internal/upstream internal/wire",
		"it makes a reply of a message: what is asked of whom is not its matter"},
	{"internal/mesh", "cache dnssec internal/answer internal/dnsname internal/env internal/failure internal/flight internal/iterate internal/limits internal/rescue internal/routes",
		"it decides which questions of clients are worked on, and what they get meanwhile: it asks no server"},
	{"internal/iterate", "cache dnssec glue internal/answer internal/budget internal/clock internal/dnsname internal/env internal/events internal/failure internal/flight internal/infra internal/keycache internal/limits internal/localroot internal/localzone internal/minimise internal/reach internal/rescue internal/routes internal/scrub internal/secondlevel internal/slist internal/upstream internal/wire",
		"it searches one answer, from zone cut to zone cut: it knows no client and no message of one"},
	{"internal/upstream", "dnssec glue internal/answer internal/budget internal/dnsname internal/env internal/events internal/failure internal/flight internal/infra internal/keycache internal/limits internal/rescue internal/routes internal/scrub internal/slist internal/transport internal/wire",
		"it puts one query to one server and says what came of it: it never chooses the server"},
	{"internal/slist", "cache glue internal/answer internal/dnsname internal/env internal/events internal/expiring internal/infra internal/limits internal/routes",
		"it says which server is next: it sends nothing"},
	{"internal/routes", "cache dnssec glue internal/answer internal/dnsname internal/env internal/expiring internal/failure internal/infra internal/printable internal/transport",
		"it says who is asked about which names: it asks nobody"},
	{"internal/env", "cache dnssec glue internal/answer internal/budget internal/dnsname internal/events internal/flight internal/limits internal/policy internal/rescue internal/secondlevel",
		"it is what every part of the engine needs, and no part of it"},
	{"internal/policy", "dnssec internal/answer internal/dnsname internal/failure internal/wire",
		"it is tables and judgements: what is cached or known of servers has no say"},
	{"internal/localzone", "dnssec internal/answer internal/dnsname internal/failure internal/scrub",
		"it is the zones and names that no server is asked about: what is cached or routed has no say"},
	{"internal/minimise", "internal/answer internal/dnsname",
		"it says what the servers of a zone are asked: what they reply has no say"},
	{"internal/reach", "internal/answer",
		"it says what the network lets through: it sends nothing"},
	{"internal/keycache", "dnssec internal/answer internal/dnsname internal/expiring",
		"it keeps what was validated: it validates nothing"},
	{"internal/localroot", "dnssec internal/atomicfile internal/dnsname internal/expiring internal/rescue internal/wire internal/zonetext",
		"it is a copy of one zone, verified, and where it comes from: what is cached or asked has no say"},
	{"internal/flight", "internal/budget internal/events internal/failure internal/limits internal/rescue",
		"it does equal work once: what the work is has no say"},
	{"internal/events", "dnssec glue internal/answer internal/dnsname",
		"it is what the engine tells: who listens is not known here"},
	{"internal/budget", "dnssec internal/failure internal/limits internal/secondlevel",
		"it counts what one question has spent: it decides nothing else"},
	{"internal/answer", "dnssec internal/dnsname internal/failure internal/scrub internal/wire",
		"it is the one form of an answer: where it came from has no say"},
	{"internal/failure", "cache dnssec internal/dnsname internal/limits internal/rescue internal/wire",
		"it sorts errors by kind: it makes none of its own accord"},
	{"internal/limits", "dnssec internal/wire",
		"it is the table of the limits"},
	{"internal/clock", "",
		"it is what is known of the time: what is validated by it has no say"},
	{"internal/expiring", "",
		"it is a value and its time"},
	{"internal/printable", "",
		"it makes text from the network fit to be read"},
	{"internal/scenario", "internal/dnsname internal/zonetext",
		"it reads scenario files, and runs none"},
	{"internal/secondlevel", "cache internal/rescue",
		"it is a store behind the cache, filled by others"},
	{"internal/snapshot", "cache internal/atomicfile",
		"it writes a cache to a file and reads it back"},
	{"internal/transport", "internal/rescue",
		"it carries bytes to one server and back, and looks into no message"},
	{"internal/infra", "internal/dnsname",
		"it remembers what servers are like, and decides nothing"},
	{"internal/scrub", "dnssec glue internal/dnsname internal/wire",
		"it judges one message by itself: what is known or cached has no say"},
	{"cache", "dnssec glue internal/dnsname internal/probes internal/wire",
		"it keeps what it is given: it never asks, validates or waits"},
	{"rootHints/internal/refresh", "glue rootHints",
		"it fetches the hints that are embedded, when they are made"},
	{"rootHints", "glue internal/dnsname",
		"it reads hints files"},
	{"dnssec/anchorfile", "dnssec internal/atomicfile",
		"it is a file of trust anchors: what the text says has no say"},
	{"dnssec", "internal/dnsname internal/wire",
		"it proves what it is given, and returns what it still needs"},
	{"glue", "internal/dnsname",
		"it turns one referral into a delegation"},
	{"internal/zonetext", "internal/wire",
		"it reads and writes records as text"},
	{"internal/wire", "internal/dnsname",
		"it reads wire format, and knows no meaning of it but lengths"},
	{"internal/dnsname", "",
		"it is the form of names, which everything stands on"},
	{"internal/atomicfile", "",
		"it replaces a file: what is in it has no say"},
	{"internal/probes", "",
		"it counts what the cache is asked, for tests"},
	{"internal/rescue", "",
		"it keeps a panic of the program's functions on the goroutine it belongs to"},
}

// isOutside reports whether a package is a tool or an example, which no package of the library
// imports. Tools may import everything. Examples may import what users can, unless they have a
// row.
func isOutside(name string) bool { return isTool(name) || isExample(name) }

func isTool(name string) bool { return strings.HasPrefix(name, "internal/test/") }

func isExample(name string) bool { return name == "examples" || strings.HasPrefix(name, "examples/") }

func isInternal(name string) bool { return slices.Contains(strings.Split(name, "/"), "internal") }

func TestImportsPointDown(t *testing.T) {
	imports, err := readModule("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range check(rooms, imports) {
		t.Error(fault)
	}
}

// maxFiles is how many product files a package under internal may have, and maxSurface how many
// the package resolver: as many names as somebody who looks for a place reads at once.
const (
	maxFiles   = 15
	maxSurface = 25
)

func TestPackagesAreSmall(t *testing.T) {
	for _, r := range rooms {
		most := maxFiles
		switch {
		case r.name == "resolver":
			most = maxSurface
		case !isInternal(r.name):
			continue
		}
		files, err := filepath.Glob(filepath.Join("../../..", filepath.FromSlash(r.name), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		if len(files) == 0 || len(files) > most {
			t.Errorf("%s has %d product files, want at most %d", r.name, len(files), most)
		}
	}
}

// TestPageListsPackages: ARCHITECTURE.md lists the packages of the table, in its order.
func TestPageListsPackages(t *testing.T) {
	page, err := os.ReadFile("../../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			listed = append(listed, name)
		}
	}
	var want []string
	for _, r := range rooms {
		if !isExample(r.name) && r.name != "rootHints/internal/refresh" { // which are no part of the library
			want = append(want, r.name)
		}
	}
	if !slices.Equal(listed, want) {
		t.Errorf("got %v, want %v", listed, want)
	}
}

// check compares the table with what each package imports of the module, and returns what is
// wrong with either.
func check(rooms []room, imports map[string][]string) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	level := make(map[string]int)
	for i, r := range rooms {
		level[r.name] = i
	}
	for _, r := range rooms {
		imported, ok := imports[r.name]
		if !ok {
			fault("%s has a row in the table and is no package", r.name)
			continue
		}
		may := strings.Fields(r.may)
		for _, name := range imported {
			if !slices.Contains(may, name) {
				fault("%s may not import %s: %s", r.name, name, r.why)
			}
		}
		for _, name := range may {
			below, ok := level[name]
			switch {
			case !ok || below <= level[r.name]:
				fault("%s may not have %s in its row: that does not stand below it", r.name, name)
			case !slices.Contains(imported, name):
				fault("%s no longer imports %s: take it out of the row", r.name, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		_, ok := level[name]
		if !ok && !isOutside(name) {
			fault("%s has no row in the table: add one that says what it is for and may import", name)
		}
		for _, of := range imports[name] {
			if !ok && isExample(name) && isInternal(of) {
				fault("%s may not import %s: an example shows what users can do", name, of)
			}
		}
	}
	return faults
}

// readModule returns what each package below root imports of the module, tests apart. Nested
// modules are none of its packages.
func readModule(root string) (map[string][]string, error) {
	module, err := modulePath(root)
	if err != nil {
		return nil, err
	}
	imports := make(map[string][]string)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipped(root, path)
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		name := filepath.ToSlash(folder)
		file, err := importsOf(path, module)
		imports[name] = append(imports[name], file...)
		return err
	})
	for name, list := range imports {
		slices.Sort(list)
		imports[name] = slices.Compact(list)
	}
	return imports, err
}

// skipped is fs.SkipDir for folders whose files the go command takes for no packages of the
// module.
func skipped(root, path string) error {
	if path == root {
		return nil
	}
	base := filepath.Base(path)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func modulePath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if module, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(module), nil
		}
	}
	return "", fmt.Errorf("no module in %s/go.mod", root)
}

// importsOf returns what a file imports of the module.
func importsOf(path, module string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if name, ok := strings.CutPrefix(imported, module+"/"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// That check is silent says something only if it finds what it is shown.
func TestCheck(t *testing.T) {
	table := []room{
		{"resolver", "cache internal/wire", "it is the top"},
		{"cache", "internal/wire", "it never asks"},
		{"internal/wire", "", "it reads wire format"},
	}
	for _, c := range []struct {
		name   string
		change func(imports map[string][]string)
		rooms  []room
		want   string
	}{
		{"as it should be", func(map[string][]string) {}, nil, ""},
		{"upwards", func(m map[string][]string) { m["cache"] = append(m["cache"], "resolver") }, nil,
			"cache may not import resolver: it never asks"},
		{"not listed", func(m map[string][]string) { m["internal/wire"] = []string{"internal/dnsname"} }, nil,
			"internal/wire may not import internal/dnsname: it reads wire format"},
		{"a tool in the library", func(m map[string][]string) { m["cache"] = append(m["cache"], "internal/test/soak") }, nil,
			"cache may not import internal/test/soak: it never asks"},
		{"a tool", func(m map[string][]string) { m["internal/test/soak"] = []string{"resolver", "internal/wire"} }, nil, ""},
		{"an example of what users can do", func(m map[string][]string) { m["examples/lookup"] = []string{"resolver"} }, nil, ""},
		{"an example of what users cannot do", func(m map[string][]string) { m["examples/lookup"] = []string{"internal/wire"} }, nil,
			"examples/lookup may not import internal/wire: an example shows what users can do"},
		{"a new package", func(m map[string][]string) { m["internal/new"] = nil }, nil,
			"internal/new has no row in the table: add one that says what it is for and may import"},
		{"a package that is gone", func(m map[string][]string) { delete(m, "internal/wire") }, nil,
			"internal/wire has a row in the table and is no package"},
		{"an import that is gone", func(m map[string][]string) { m["cache"] = nil }, nil,
			"cache no longer imports internal/wire: take it out of the row"},
		{"a row that points up", func(map[string][]string) {}, []room{table[1], table[0], table[2]},
			"resolver may not have cache in its row: that does not stand below it"},
	} {
		imports := map[string][]string{"resolver": {"cache", "internal/wire"}, "cache": {"internal/wire"}, "internal/wire": nil}
		c.change(imports)
		rows := table
		if c.rooms != nil {
			rows = c.rooms
		}
		if got := strings.Join(check(rows, imports), "\n"); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}
