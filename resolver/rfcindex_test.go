package resolver_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rfcIndex is the page that says what of each RFC is implemented.
const rfcIndex = "RFC.md"

// absentHeading is the section of the page whose RFCs no test shows.
const absentHeading = "What is not implemented"

// resolversRFCs are those that concern resolvers, as of November 2026: implemented or
// not, each has to be on the page.
const resolversRFCs = `
	1034 1035 2181 2308 3597 4033 4034 4035 4592 5011 5155 5358 5452 5702 5933 6303 6604 6605 6672 6698 6761
	6840 6891 6895 7208 7646 7686 7766 7816 7828 7830 7858 7871 7873 7958 8020 8080 8109 8145 8198 8310 8375
	8467 8482 8484 8490 8509 8624 8767 8806 8880 8901 8914 8976 9018 9076 9077 9103 9156 9210 9250 9276 9364
	9432 9460 9461 9462 9471 9476 9499 9520 9539 9567 9606 9609 9615 9619 9660 9664 9665 9704 9715 9718 9824
	9859 9872 9904 9905 9906 9953 10001 10026 3901`

var (
	rfcNumbers = regexp.MustCompile(`RFC ((?:\d{4,5})(?:, \d{4,5})*)`)
	rfcCited   = regexp.MustCompile(`RFC (\d{4,5})`)
	rfcProof   = regexp.MustCompile("`([^`]*(?:Test|Fuzz)[A-Za-z0-9_]*|[a-z0-9_]+\\.txt)`")
)

// The page names every RFC that concerns a resolver or that the code cites, and for each
// that is implemented tests that exist.
func TestRFCIndex(t *testing.T) {
	page, err := os.ReadFile(rfcIndex)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, entry := range rfcEntries(string(page)) {
		for _, number := range rfcsOf(entry.text) {
			listed[number] = true
		}
		proofs := rfcProof.FindAllStringSubmatch(entry.text, -1)
		if len(proofs) == 0 && entry.heading != absentHeading && !strings.Contains(entry.text, "RFC 9499") {
			t.Errorf("no test is named for %.60q", entry.text)
		}
		for _, proof := range proofs {
			if err := proofExists(proof[1]); err != nil {
				t.Error(err)
			}
		}
	}
	for _, number := range append(strings.Fields(resolversRFCs), citedRFCs(t)...) {
		if !listed[number] {
			t.Errorf("RFC %s is not on the page", number)
		}
	}
}

// rfcEntry is an entry of the page: a list item or a paragraph.
type rfcEntry struct{ heading, text string }

func rfcEntries(page string) []rfcEntry {
	var entries []rfcEntry
	heading := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimPrefix(line, "## ")
		case heading == "" || line == "":
		case strings.HasPrefix(line, "- ") || len(entries) == 0 || entries[len(entries)-1].heading != heading:
			entries = append(entries, rfcEntry{heading, line})
		default:
			entries[len(entries)-1].text += " " + line
		}
	}
	return entries
}

// rfcsOf lists the numbers in "RFC 1034, 1035".
func rfcsOf(text string) []string {
	var numbers []string
	for _, match := range rfcNumbers.FindAllStringSubmatch(text, -1) {
		numbers = append(numbers, strings.Split(match[1], ", ")...)
	}
	return numbers
}

// proofExists finds a scenario, or a test by its package and name.
func proofExists(name string) error {
	if strings.HasSuffix(name, ".txt") {
		_, err := os.Stat(filepath.Join("testdata", name))
		return err
	}
	dir := "."
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		dir, name = filepath.Join("..", filepath.FromSlash(name[:i])), name[i+1:]
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return nil
		}
	}
	return &fs.PathError{Op: "find test", Path: filepath.Join(dir, name), Err: fs.ErrNotExist}
}

// citedRFCs lists the RFCs that the code of the library cites.
func citedRFCs(t *testing.T) []string {
	t.Helper()
	var numbers []string
	for _, dir := range []string{".", "../dnssec", "../cache", "../glue", "../rootHints", "../internal"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range rfcCited.FindAllSubmatch(text, -1) {
				numbers = append(numbers, string(match[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
