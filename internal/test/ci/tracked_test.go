package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExecutableFormat(t *testing.T) {
	pe := make([]byte, 0x90)
	copy(pe, "MZ")
	pe[0x3c] = 0x80
	copy(pe[0x80:], "PE\x00\x00")
	beyond := append([]byte(nil), pe...)
	beyond[0x3d] = 0xff

	for _, test := range []struct{ name, head, want string }{
		{"ELF", "\x7fELF\x02\x01\x01", "ELF"},
		{"Mach-O, arm64", "\xcf\xfa\xed\xfe\x0c\x00\x00\x01", "Mach-O"},
		{"Mach-O, universal", "\xca\xfe\xba\xbe\x00\x00\x00\x02", "Mach-O"},
		{"PE", string(pe), "PE"},
		{"PE header beyond the file's end", string(beyond), ""},
		{"text that begins with MZ", "MZ is no magic\n", ""},
		{"script", "#!/bin/sh\n", ""},
		{"Go", "package main\n", ""},
		{"empty", "", ""},
	} {
		if got := executableFormat([]byte(test.head)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestRunningBinaryIsExecutable takes a real one: that of this test.
func TestRunningBinaryIsExecutable(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	head, err := readHead(path)
	if err != nil {
		t.Fatal(err)
	}
	if executableFormat(head) == "" {
		t.Errorf("%s begins with %q, which is taken for no executable", path, head[:16])
	}
}

func TestTrackedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", []byte("package a\n"))
	write("full.txt", make([]byte, maxTracked))
	write("large.txt", make([]byte, maxTracked+1))
	write("zones.data", make([]byte, maxTracked+1))
	write("tool", []byte("\x7fELF\x02"))

	err := judgeTracked(dir, []string{"a.go", "full.txt", "large.txt", "zones.data", "tool", "deleted"}, []string{"zones.data"})
	if err == nil {
		t.Fatal("an executable and a large file pass")
	}
	want := []string{
		"large.txt: 1048577 bytes are tracked, and it is not listed as data",
		"tool: a tracked executable (ELF)",
	}
	if got := strings.Split(err.Error(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := judgeTracked(dir, []string{"a.go", "full.txt", "zones.data"}, []string{"zones.data"}); err != nil {
		t.Errorf("files that may be tracked: %v", err)
	}
}
