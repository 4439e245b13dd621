package api_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const mediaPath = "/v1/workspaces/wsp_1/media"

func TestUploadsAreStreamed(t *testing.T) {
	h := open(t)
	for name, body := range map[string]io.Reader{
		"with length": strings.NewReader(strings.Repeat("x", maxMedia)),
		"chunked":     io.MultiReader(strings.NewReader(strings.Repeat("x", maxMedia))),
	} {
		answer := h.start("member", "POST", mediaPath+"?name=a%20b.png", body, "Content-Type", "multipart/form-data; boundary=x")
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusCreated || h.upload != maxMedia || !slices.Contains(h.called(), "upload wsp_1 a b.png") {
			t.Errorf("%s: got %d, kept %d bytes, %q", name, answer.StatusCode, h.upload, h.called())
		}
	}
}

func TestUploadsThatAreTooLarge(t *testing.T) {
	h := open(t)
	for _, times := range []int{2, 100} {
		body := strings.Repeat("x", times*maxMedia)
		h.do("member", "POST", mediaPath, body).problem(t, http.StatusRequestEntityTooLarge)
		answer := h.start("member", "POST", mediaPath, io.MultiReader(strings.NewReader(body)))
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d times the limit, chunked, gave %d", times, answer.StatusCode)
		}
	}
	h.do("member", "POST", mediaPath, "x", "Content-Encoding", "gzip").problem(t, http.StatusUnsupportedMediaType)
}

func TestAnUploadThatMayNotBeIsNotRead(t *testing.T) {
	h := open(t)
	h.do("reader", "POST", mediaPath, strings.Repeat("x", maxMedia)).problem(t, http.StatusForbidden)
	h.do("stranger", "POST", mediaPath, strings.Repeat("x", 100*maxMedia)).problem(t, http.StatusNotFound)
	if h.upload != 0 {
		t.Errorf("%d bytes were read", h.upload)
	}
}

func TestDownloads(t *testing.T) {
	h := open(t)
	got := h.do("reader", "GET", mediaPath+"/med_1", "")
	for name, want := range map[string]string{"Content-Type": "text/html", "Content-Disposition": "attachment; filename=a.html",
		"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	if got.status != 200 || got.body != "0123456789" {
		t.Errorf("got %d %q", got.status, got.body)
	}
	part := h.do("reader", "GET", mediaPath+"/med_1", "", "Range", "bytes=2-3")
	if part.status != 206 || part.body != "23" {
		t.Errorf("got %d %q", part.status, part.body)
	}
	h.do("reader", "GET", mediaPath+"/med_1", "", "Range", "bytes=50-").problem(t, http.StatusRequestedRangeNotSatisfiable)
	if closed := h.called(); !slices.Equal(closed, []string{"closed media", "closed media", "closed media"}) {
		t.Errorf("of three files were closed: %q", closed)
	}
}
