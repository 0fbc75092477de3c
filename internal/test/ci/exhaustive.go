package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// missingCase is a module whose switch lacks a case, although there is a default.
var missingCase = map[string]string{
	"go.mod": "module missingcase\n\ngo 1.26\n",
	"a.go": `package missingcase

type kind int

const (
	answer kind = iota
	referral
)

func isAnswer(k kind) bool {
	switch k {
	case answer:
		return true
	default:
		return false
	}
}
`,
}

// checkExhaustive requires that the checker named finds a missing case. One that finds
// nothing is silent, like one that is configured to look for nothing.
func checkExhaustive(ctx context.Context, _ io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("exhaustive takes the checker's package and version")
	}
	dir, err := os.MkdirTemp("", "missing-case")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, content := range missingCase {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	var report bytes.Buffer
	checker := command(ctx, &report, "go", "run", args[0], "./...")
	checker.Dir = dir
	if checker.Run() == nil {
		return errors.New("exhaustive passes a switch without all cases")
	}
	if !strings.Contains(report.String(), "missing cases in expression switch: referral") {
		return fmt.Errorf("exhaustive fails for another reason than the missing case:\n%s", &report)
	}
	return nil
}
