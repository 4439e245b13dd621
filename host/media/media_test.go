package media_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/media"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func open(t *testing.T) (*media.Files, string) {
	t.Helper()
	dir := t.TempDir()
	files, err := media.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files, dir
}

func TestWhatWasPutCanBeRead(t *testing.T) {
	files, _ := open(t)
	const text = "<html><body>hello"
	sum, size, mime, err := files.Put(t.Context(), iotest.OneByteReader(strings.NewReader(text)), 100)
	if err != nil || size != int64(len(text)) || mime != "text/html; charset=utf-8" {
		t.Fatalf("Put = %q, %d, %q, %v", sum, size, mime, err)
	}
	again, _, _, err := files.Put(t.Context(), strings.NewReader(text), 100)
	if err != nil || again != sum {
		t.Errorf("the same bytes again: %q, %v, want %q", again, err, sum)
	}
	file, err := files.Open(sum)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || string(got) != text {
		t.Errorf("read %q, %v, want %q", got, err, text)
	}
}

func TestWhatIsRefusedLeavesNothingBehind(t *testing.T) {
	broken := errors.New("the network went away")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		r    io.Reader
		code string
	}{
		{"one byte too many", t.Context(), strings.NewReader("12345678901"), contract.HostQuota},
		{"nothing at all", t.Context(), strings.NewReader(""), contract.HostInvalid},
		{"a stream that breaks", t.Context(), io.MultiReader(strings.NewReader("123"), iotest.ErrReader(broken)), ""},
		{"a caller who left", cancelled, strings.NewReader("123"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files, dir := open(t)
			_, _, _, err := files.Put(tt.ctx, tt.r, 10)
			var host *contract.HostError
			if err == nil || errors.As(err, &host) != (tt.code != "") || host != nil && host.Code != tt.code {
				t.Errorf("Put = %v, want code %q", err, tt.code)
			}
			left := 0
			_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
				if !d.IsDir() {
					left++
				}
				return nil
			})
			if left != 0 {
				t.Errorf("%d files were left behind", left)
			}
		})
	}
}

func TestSweepRemovesWhatACrashLeft(t *testing.T) {
	files, dir := open(t)
	orphan := filepath.Join(dir, "incoming", "put-123")
	if err := os.WriteFile(orphan, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := files.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(orphan); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Sweep, Stat = %v, want that it is gone", err)
	}
}

func TestOpenRefusesWhatIsNoHash(t *testing.T) {
	files, _ := open(t)
	for _, sum := range []string{"", "..", "../../etc/passwd", strings.Repeat("a", 63), strings.Repeat("/", 64), strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if f, err := files.Open(sum); !errors.Is(err, fs.ErrNotExist) || f != nil {
			t.Errorf("Open(%q) = %v, %v, want fs.ErrNotExist", sum, f, err)
		}
	}
}

func TestALinkWorksUntilItExpiresAndForItsHandleOnly(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	links := media.NewLinks("https://host.test", bytes.Repeat([]byte{7}, 32))
	link, err := url.Parse(links.Link("med_1", now.Add(time.Hour)))
	if err != nil || link.Path != "/media/med_1" || link.Host != "host.test" {
		t.Fatalf("Link = %v, %v", link, err)
	}
	exp, sig := link.Query().Get("exp"), link.Query().Get("sig")
	for _, tt := range []struct {
		name     string
		handle   contract.MediaHandle
		exp, sig string
		at       time.Time
		want     error
	}{
		{"in time", "med_1", exp, sig, now, nil},
		{"in its last second", "med_1", exp, sig, now.Add(time.Hour - time.Second), nil},
		{"too late", "med_1", exp, sig, now.Add(time.Hour), media.ErrLink},
		{"another handle", "med_2", exp, sig, now, media.ErrLink},
		{"a later expiry", "med_1", "9" + exp, sig, now, media.ErrLink},
		{"no signature", "med_1", exp, "", now, media.ErrLink},
		{"no base64", "med_1", exp, "!", now, media.ErrLink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := links.Verify(tt.handle, tt.exp, tt.sig, tt.at); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
	if err := media.NewLinks("", bytes.Repeat([]byte{8}, 32)).Verify("med_1", exp, sig, now); !errors.Is(err, media.ErrLink) {
		t.Errorf("another host's key: Verify = %v, want ErrLink", err)
	}
}

func FuzzVerify(f *testing.F) {
	key := bytes.Repeat([]byte{7}, 32)
	links := media.NewLinks("", key)
	f.Add("med_1", "1800000000", "c2ln")
	f.Fuzz(func(t *testing.T, handle, exp, sig string) {
		if links.Verify(contract.MediaHandle(handle), exp, sig, time.Unix(0, 0)) == nil {
			t.Errorf("Verify(%q, %q, %q) believed a link that nobody made", handle, exp, sig)
		}
	})
}

func pictureOf(t *testing.T, width, height int) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			picture.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x * y), A: 255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestThumbnail(t *testing.T) {
	bomb := pictureOf(t, 2, 2)
	copy(bomb[16:], []byte{0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff}) // the header now claims 65,535 by 65,535
	for _, tt := range []struct {
		name          string
		bytes         []byte
		width, height int // 0 means no thumbnail
	}{
		{"a large picture is made to fit", pictureOf(t, 1000, 500), 256, 128},
		{"a small one keeps its size", pictureOf(t, 40, 30), 40, 30},
		{"a sliver keeps at least a pixel", pictureOf(t, 2000, 1), 256, 1},
		{"text is no picture", []byte("hello"), 0, 0},
		{"half a picture is none", pictureOf(t, 300, 300)[:200], 0, 0},
		{"a picture too large to unpack is not unpacked", bomb, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files, _ := open(t)
			sum, _, _, err := files.Put(t.Context(), bytes.NewReader(tt.bytes), 10<<20)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := files.Thumbnail(sum)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := image.DecodeConfig(bytes.NewReader(raw))
			if (err == nil) != (tt.width > 0) || got.Width != tt.width || got.Height != tt.height {
				t.Errorf("got %dx%d (%v), want %dx%d", got.Width, got.Height, err, tt.width, tt.height)
			}
		})
	}
}
