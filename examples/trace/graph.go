package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/iterdns/iterdns/internal/drawing"
)

// painter returns what draws files of a name's extension; nil if nothing does.
func painter(file string) func(*drawing.Picture) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".svg":
		return drawing.SVG
	case ".dot", ".gv":
		return drawing.Dot
	}
	return nil
}

// draw writes the picture.
func draw(file string, p *drawing.Picture) error {
	return os.WriteFile(file, []byte(painter(file)(p)), 0o666)
}
