package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

type apiCommand struct {
	Method string  `arg:"" help:"The request's method."`
	Path   string  `arg:"" help:"The path and the query, such as /v1/plugins."`
	Data   *string `short:"d" placeholder:"JSON" help:"The request's body, or @FILE to read it from a file, @- from standard input."`
}

// Run prints the answer as it is, JSON indented.
func (c *apiCommand) Run(ctx context.Context, s *session) error {
	if !strings.HasPrefix(c.Path, "/") {
		return &usageError{fmt.Sprintf("the path is %q", c.Path), "a path begins with /, such as /v1/plugins"}
	}
	body, err := c.body(s)
	if err != nil {
		return err
	}
	answer, err := s.connect().Call(ctx, strings.ToUpper(c.Method), c.Path, body)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if json.Indent(&indented, answer, "", "  ") != nil {
		_, err := s.stdout.Write(answer) // not JSON: metrics, or nothing
		return err
	}
	_, err = fmt.Fprintln(s.stdout, strings.TrimRight(indented.String(), "\n"))
	return err
}

func (c *apiCommand) body(s *session) ([]byte, error) {
	if c.Data == nil {
		return nil, nil
	}
	text, err := s.valueOrFile(*c.Data)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(text)) {
		return nil, &usageError{"the body given with --data is not JSON", "check the quotes; a shell takes some away"}
	}
	return []byte(text), nil
}
