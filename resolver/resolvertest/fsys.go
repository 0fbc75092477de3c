package resolvertest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/iterdns/iterdns/internal/scenario"
)

// NewFS is New from the files of a directory, in the order of their names:
//
//   - NAME.zone is a zone file; the zone is NAME, and the root for root.zone.
//     A comment line `; at 198.51.100.3 2001:db8::3` has its servers' addresses,
//     which are otherwise taken from the NS and address records.
//   - NAME.txt is a text as New takes it.
//
// Other files and directories are left alone.
func NewFS(t TB, fsys fs.FS, opts ...Option) *Internet {
	if t != nil {
		t.Helper()
	}
	in := newInternet(t, opts)
	in.must(in.load(fsys))
	if t != nil {
		t.Cleanup(in.Close)
	}
	return in
}

// NewInternetFS is NewFS for programs that want an error. They call Close.
func NewInternetFS(fsys fs.FS, opts ...Option) (*Internet, error) {
	in := newInternet(nil, opts)
	if err := in.load(fsys); err != nil {
		return nil, err
	}
	return in, nil
}

func (in *Internet) load(fsys fs.FS) error {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return err
	}
	var all []scenario.Section
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		sections, err := readFile(fsys, entry.Name())
		if err != nil {
			return err
		}
		all = append(all, sections...)
	}
	return in.apply(all)
}

// readFile returns the sections of one file.
func readFile(fsys fs.FS, name string) ([]scenario.Section, error) {
	ext := path.Ext(name)
	if ext != ".zone" && ext != ".txt" {
		return nil, nil
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	if ext == ".zone" {
		return []scenario.Section{zoneFile(name, string(text))}, nil
	}
	_, sections, err := scenario.Split(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range sections {
		sections[i].File = name
	}
	return sections, nil
}

// zoneFile makes a section of a zone file.
func zoneFile(name, text string) scenario.Section {
	origin := strings.TrimSuffix(name, ".zone")
	if origin == "root" {
		origin = "."
	}
	s := scenario.Section{Kind: "zone", Args: []string{origin}, File: name, Body: text}
	for line := range strings.Lines(text) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), ";"))
		if strings.HasPrefix(line, ";") && len(words) > 1 && words[0] == "at" {
			s.Args = append(s.Args, words...)
			break
		}
	}
	return s
}
