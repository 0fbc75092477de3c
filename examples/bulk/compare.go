package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
)

// mostShownDifferences bounds what is printed.
const mostShownDifferences = 20

// compareFiles prints the questions that two outputs of one list have different statuses for, and
// returns the exit status: 0 if there is none.
func compareFiles(a, b string, stdout, stderr io.Writer) int {
	first, err := readStatuses(a)
	second, otherErr := readStatuses(b)
	if err := cmp.Or(err, otherErr); err != nil {
		fmt.Fprintf(stderr, "bulk: %v\n", err)
		return exitUsage
	}
	different := 0
	differ := func(seq uint64, was, is string) {
		if different++; different <= mostShownDifferences {
			fmt.Fprintf(stdout, "question %d: %s, and %s\n", seq, was, is)
		}
	}
	for seq, was := range first {
		if is, ok := second[seq]; !ok || is != was {
			differ(seq, was, cmp.Or(is, "no line"))
		}
	}
	for seq, is := range second {
		if _, ok := first[seq]; !ok {
			differ(seq, "no line", is)
		}
	}
	fmt.Fprintf(stdout, "%d and %d questions, %d differ\n", len(first), len(second), different)
	if different > 0 {
		return exitFailures
	}
	return exitDone
}

// readStatuses returns question and status by number.
func readStatuses(path string) (map[uint64]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	statuses := make(map[uint64]string)
	_, err = readLines(file, func(b brief) {
		statuses[b.Seq] = fmt.Sprintf("%.80q %s is %s", b.Input, b.Type, b.Status)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return statuses, nil
}
