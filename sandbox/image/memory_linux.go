package image

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// content is a file in memory: what spaces share.
type content struct {
	file int
	view []byte
}

// newContent copies data into a file in memory that nobody can change any more. Pages of
// zeros are left out.
func newContent(data []byte) (content, error) {
	if len(data) == 0 {
		return content{file: -1}, nil
	}
	file, err := unix.MemfdCreate("patchbay-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return content{}, fmt.Errorf("memfd_create: %w", err)
	}
	c := content{file: file}
	if err = c.fill(data); err == nil {
		c.view, err = unix.Mmap(file, 0, len(data), unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(file)
		return content{}, err
	}
	return c, nil
}

func (c *content) fill(data []byte) error {
	if err := unix.Ftruncate(c.file, int64(len(data))); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	for at := 0; at < len(data); {
		n := run(data[at:])
		if n == 0 {
			at += PageBytes
			continue
		}
		if got, err := unix.Pwrite(c.file, data[at:at+n], int64(at)); err != nil || got != n {
			return fmt.Errorf("write: %d of %d bytes: %w", got, n, err)
		}
		at += n
	}
	_, err := unix.FcntlInt(uintptr(c.file), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	return err
}

// run is how many bytes data begins with in pages that are not all zeros.
func run(data []byte) (n int) {
	for n < len(data) && !bytes.Equal(data[n:n+PageBytes], zeroPage[:]) {
		n += PageBytes
	}
	return n
}

func (c *content) close() error {
	if c.file < 0 {
		return nil
	}
	err := unix.Munmap(c.view)
	if e := unix.Close(c.file); err == nil {
		err = e
	}
	c.file = -1
	return err
}

// space returns address space of most bytes that begins with the content.
func (c *content) space(most int) (space, error) {
	s, err := newSpace(most)
	if err != nil || len(c.view) == 0 {
		return s, err
	}
	_, err = unix.MmapPtr(c.file, 0, unsafe.Pointer(&s.bytes[0]), uintptr(len(c.view)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	if err != nil {
		s.free()
		return space{}, err
	}
	return s, nil
}

// space is address space, private to one memory.
type space struct {
	bytes   []byte
	regions *[regionsAtOnce]pageRegion
}

func newSpace(most int) (space, error) {
	if most == 0 {
		return space{bytes: []byte{}}, nil
	}
	b, err := unix.Mmap(-1, 0, most, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	return space{bytes: b}, err
}

func (s *space) free() {
	if len(s.bytes) > 0 {
		_ = unix.Munmap(s.bytes) // fails only for what is no mapping
	}
	s.bytes = nil
}

func (s *space) forget(n int) error {
	if n == 0 {
		return nil
	}
	return unix.Madvise(s.bytes[:n], unix.MADV_DONTNEED)
}

// pageRegion and scanArg are struct page_region and struct pm_scan_arg of linux/fs.h. What
// else is known of a region, its categories, was asked for.
type pageRegion struct{ start, end, _ uint64 }

type scanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages       uint64
	categoryInverted, categoryMask, categoryAnyofMask, returnMask uint64
}

const (
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
	pagemapScan   = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	regionsAtOnce = 64
)

// pagemap is /proc/self/pagemap, opened once for the life of the process.
var pagemap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

// canScan tells why the kernel cannot be asked, or nil.
var canScan = sync.OnceValue(func() error {
	s, err := newSpace(PageBytes)
	if err != nil {
		return err
	}
	defer s.free()
	s.bytes[0] = 1
	found := 0
	if err := s.written(PageBytes, func(from, to int) { found += to - from }); err != nil {
		return err
	}
	if found != PageBytes {
		return fmt.Errorf("PAGEMAP_SCAN finds %d bytes written of %d", found, PageBytes)
	}
	return nil
})

// written yields the pages among the first n bytes that are the space's own: those in
// memory that are no file's, and those that were swapped out.
func (s *space) written(n int, yield func(from, to int)) error {
	if n == 0 {
		return nil
	}
	file, err := pagemap()
	if err != nil {
		return err
	}
	if s.regions == nil {
		s.regions = new([regionsAtOnce]pageRegion)
	}
	base := uint64(uintptr(unsafe.Pointer(&s.bytes[0])))
	arg := scanArg{
		start: base, end: base + uint64(n), vec: uint64(uintptr(unsafe.Pointer(s.regions))), vecLen: regionsAtOnce,
		categoryInverted: pageIsFile, categoryMask: pageIsFile, categoryAnyofMask: pageIsPresent | pageIsSwapped,
		returnMask: pageIsPresent,
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	for arg.start < arg.end {
		found, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return fmt.Errorf("PAGEMAP_SCAN: %w", errno)
		}
		for _, r := range s.regions[:found] {
			yield(int(r.start-base), int(r.end-base))
		}
		if arg.walkEnd <= arg.start {
			return fmt.Errorf("PAGEMAP_SCAN: stopped at %#x of %#x", arg.walkEnd, arg.end)
		}
		arg.start = arg.walkEnd
	}
	runtime.KeepAlive(s.regions)
	return nil
}
