package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// valueOrFile returns value, or for "@FILE" what is in the file, without the line end
// that editors add. "@-" reads standard input.
func (s *session) valueOrFile(value string) (string, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	data, err := s.readInput(name)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// readInput reads a file, or standard input for "-".
func (s *session) readInput(name string) ([]byte, error) {
	if name != "-" {
		return os.ReadFile(name)
	}
	data, err := io.ReadAll(s.stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return data, nil
}
