package gate_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// file is content that must be closed.
type file struct {
	*bytes.Reader
	open *int
}

func (f file) Close() error {
	*f.open--
	return nil
}

func TestDownloads(t *testing.T) {
	open_ := 0
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/file", func(c *fiber.Ctx) error {
			open_++
			return gate.Download{Name: "Прайс \"1\".html", MIME: "text/html", SizeBytes: 10, Tag: "abc",
				Content: file{bytes.NewReader([]byte("0123456789")), &open_}}.Send(c)
		})
	})
	for _, tt := range []struct {
		name, fields string
		status       int
		body         string
		contentRange string
	}{
		{"the whole", "", 200, "0123456789", ""},
		{"a part", "Range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"},
		{"from somewhere on", "Range: bytes=7-\r\n", 206, "789", "bytes 7-9/10"},
		{"past the end", "Range: bytes=7-100\r\n", 206, "789", "bytes 7-9/10"},
		{"the last ones", "Range: bytes=-3\r\n", 206, "789", "bytes 7-9/10"},
		{"outside", "Range: bytes=10-\r\n", 416, "", "bytes */10"},
		{"several parts give the whole", "Range: bytes=0-1,3-4\r\n", 200, "0123456789", ""},
		{"nonsense gives the whole", "Range: bytes=b-a\r\n", 200, "0123456789", ""},
		{"of the same file", "Range: bytes=0-0\r\nIf-Range: \"abc\"\r\n", 206, "0", "bytes 0-0/10"},
		{"of another file gives the whole", "Range: bytes=0-0\r\nIf-Range: \"old\"\r\n", 200, "0123456789", ""},
		{"what is known already", "If-None-Match: \"old\", \"abc\"\r\n", 304, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, body := d.exchange("GET /file HTTP/1.1\r\nHost: x\r\n" + tt.fields + "\r\n")
			if answer.StatusCode != tt.status || answer.Header.Get("Content-Range") != tt.contentRange {
				t.Errorf("got %d, range %q", answer.StatusCode, answer.Header.Get("Content-Range"))
			}
			if tt.status < 300 && body != tt.body {
				t.Errorf("got %q, want %q", body, tt.body)
			}
			if tt.status < 300 {
				wantHarmless(t, answer)
			}
		})
	}
	if open_ != 0 {
		t.Errorf("%d files were left open", open_)
	}
}

func wantHarmless(t *testing.T, answer *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
		"Content-Disposition": "attachment; filename*=utf-8''", "Content-Type": "text/html",
	} {
		if got := answer.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}
}

func TestHeadOfADownloadHasItsLength(t *testing.T) {
	open_ := 0
	d := open(t, gate.Options{}, func(app *fiber.App) {
		app.Get("/file", func(c *fiber.Ctx) error {
			open_++
			return gate.Download{MIME: "no mime", SizeBytes: 10, Tag: "abc",
				Content: file{bytes.NewReader([]byte("0123456789")), &open_}}.Send(c)
		})
	})
	answer, err := http.Head("http://" + d.addr + "/file")
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(answer.Body)
	if err != nil || len(rest) != 0 || answer.ContentLength != 10 || answer.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("HEAD gave %d bytes, length %d, type %q, %v", len(rest), answer.ContentLength, answer.Header.Get("Content-Type"), err)
	}
	_ = answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if open_ != 0 {
		t.Error("the file was left open")
	}
}
