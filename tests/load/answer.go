//go:build linux

package main

import (
	"bytes"
	"errors"
	"strconv"
)

var errAnswer = errors.New("this is no answer of HTTP/1.1 with a length")

var (
	endOfHeader   = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length:")
	closes        = []byte("\r\nconnection: close")
)

// maxHeader bounds the header of an answer.
const maxHeader = 16 << 10

// parseAnswer reads the beginning of an answer: its status, its length with the header
// (-1 while the header is not whole), and whether the connection stays open. It knows no
// chunks, which the ingress does not send.
func parseAnswer(b []byte) (status, length int, keep bool, err error) {
	end := bytes.Index(b, endOfHeader)
	if end < 0 {
		if len(b) > maxHeader {
			return 0, 0, false, errAnswer
		}
		return 0, -1, false, nil
	}
	if end < len("HTTP/1.1 200") || string(b[:9]) != "HTTP/1.1 " {
		return 0, 0, false, errAnswer
	}
	if status, err = strconv.Atoi(string(b[9:12])); err != nil || status < 100 {
		return 0, 0, false, errAnswer
	}
	header := bytes.ToLower(b[:end+2])
	at := bytes.Index(header, contentLength)
	if at < 0 {
		return status, end + len(endOfHeader), true, without(status)
	}
	field := header[at+len(contentLength):]
	n, err := strconv.Atoi(string(bytes.TrimSpace(field[:bytes.IndexByte(field, '\r')])))
	if err != nil || n < 0 {
		return 0, 0, false, errAnswer
	}
	return status, end + len(endOfHeader) + n, !bytes.Contains(header, closes), nil
}

// without tells whether an answer may do without a length.
func without(status int) error {
	if status == 204 || status == 304 {
		return nil
	}
	return errAnswer
}
