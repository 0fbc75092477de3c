package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// maxTracked is how large a tracked file may be, in bytes: everybody who clones the
// repository fetches every version of it. Go's binaries start at about twice that.
const maxTracked = 1 << 20

// largeData lists the data files that may be larger, by their paths from the top.
var largeData []string

// checkTracked fails if git tracks an executable, or a large file that is not listed.
func checkTracked(_ context.Context, out io.Writer, _ []string) error {
	if _, err := os.Stat(".git"); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "SKIPPED: without a repository nothing is tracked")
		return nil
	}
	files, err := trackedFiles(".")
	if err != nil {
		return err
	}
	return judgeTracked(".", files, largeData)
}

// trackedFiles lists what git tracks in the repository at dir. A checkout may belong to
// another user, which git refuses unless it is told.
func trackedFiles(dir string) ([]string, error) {
	list, err := exec.Command("git", "-c", "safe.directory=*", "-C", dir, "ls-files", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	return strings.FieldsFunc(string(list), func(r rune) bool { return r == 0 }), nil
}

// judgeTracked returns an error for each file below dir that may not be tracked.
func judgeTracked(dir string, files, data []string) error {
	var bad []error
	for _, name := range files {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted but not yet committed, or a link
		}
		head, err := readHead(path)
		if err != nil {
			return err
		}
		if format := executableFormat(head); format != "" {
			bad = append(bad, fmt.Errorf("%s: a tracked executable (%s)", name, format))
		}
		if info.Size() > maxTracked && !slices.Contains(data, name) {
			bad = append(bad, fmt.Errorf("%s: %d bytes are tracked, and it is not listed as data", name, info.Size()))
		}
	}
	return errors.Join(bad...)
}

// headLength is how much of a file is read: the header of a PE file begins within it
// wherever a linker puts it.
const headLength = 4096

func readHead(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, headLength))
}

// machoMagics begin a Mach-O file: of 32 and 64 bits in both byte orders, and of several
// architectures.
var machoMagics = [][]byte{
	{0xfe, 0xed, 0xfa, 0xce}, {0xce, 0xfa, 0xed, 0xfe},
	{0xfe, 0xed, 0xfa, 0xcf}, {0xcf, 0xfa, 0xed, 0xfe},
	{0xca, 0xfe, 0xba, 0xbe}, {0xca, 0xfe, 0xba, 0xbf},
}

// executableFormat names the executable format that a file begins like, or returns "".
func executableFormat(head []byte) string {
	if bytes.HasPrefix(head, []byte("\x7fELF")) {
		return "ELF"
	}
	for _, magic := range machoMagics {
		if bytes.HasPrefix(head, magic) {
			return "Mach-O"
		}
	}
	if isPE(head) {
		return "PE"
	}
	return ""
}

// isPE follows the offset in the DOS header, since text may begin with MZ too.
func isPE(head []byte) bool {
	const offsetAt = 0x3c
	if !bytes.HasPrefix(head, []byte("MZ")) || len(head) < offsetAt+4 {
		return false
	}
	at := binary.LittleEndian.Uint32(head[offsetAt:])
	return uint64(at)+4 <= uint64(len(head)) && bytes.Equal(head[at:at+4], []byte("PE\x00\x00"))
}
