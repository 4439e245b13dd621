package media

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/gif" // GIF pictures can be read
	"image/jpeg"
	_ "image/png" // PNG pictures can be read

	"golang.org/x/image/draw"
)

// The bounds of pictures.
const (
	maxSide          = 256       // of a thumbnail, in pixels
	maxEncoded       = 100 << 10 // of a thumbnail, in bytes
	maxPicturePixels = 40 << 20  // of what a thumbnail is made from
)

// Thumbnail returns a small picture (JPEG, at most 256 by 256 pixels and 100 KiB) of the
// bytes with that hash, in base64. It is empty, without an error, if they are no picture
// that can be read or one of more than 40 megapixels.
func (f *Files) Thumbnail(sum string) (string, error) {
	file, err := f.Open(sum)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	header, _, err := image.DecodeConfig(file)
	if err != nil || header.Width <= 0 || header.Height <= 0 || int64(header.Width)*int64(header.Height) > maxPicturePixels {
		return "", nil
	}
	if _, err := file.Seek(0, 0); err != nil {
		return "", fmt.Errorf("read picture: %w", err)
	}
	picture, _, err := image.Decode(file)
	if err != nil {
		return "", nil // its header promised more than it holds
	}
	return encode(shrink(picture))
}

// shrink fits a picture into a square of maxSide, keeping its shape.
func shrink(picture image.Image) image.Image {
	size := picture.Bounds().Size()
	side := max(size.X, size.Y)
	if side <= maxSide {
		return picture
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, size.X*maxSide/side), max(1, size.Y*maxSide/side)))
	draw.CatmullRom.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
	return small
}

// encode finds the best quality that fits.
func encode(picture image.Image) (string, error) {
	for _, quality := range []int{85, 60, 30} {
		var out bytes.Buffer
		if err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: quality}); err != nil {
			return "", fmt.Errorf("encode picture: %w", err)
		}
		if out.Len() <= maxEncoded {
			return base64.StdEncoding.EncodeToString(out.Bytes()), nil
		}
	}
	return "", nil
}
