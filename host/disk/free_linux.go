package disk

import "syscall"

// Free returns how many bytes can still be written below a path; false if that cannot be
// found out.
func Free(path string) (bytes int64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, false
	}
	return int64(stat.Bavail) * stat.Bsize, true
}
