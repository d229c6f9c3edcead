package media

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH64.
const (
	xxPrime1 uint64 = 11400714785074694791
	xxPrime2 uint64 = 14029467366897019727
	xxPrime3 uint64 = 1609587929392839161
	xxPrime4 uint64 = 9650029242287828579
	xxPrime5 uint64 = 2870177450012600261
)

// xxh64 returns XXH64 with seed 0, the checksum of zstd frames (RFC 8878, 3.1.1).
func xxh64(p []byte) uint64 {
	n := uint64(len(p))
	h := xxPrime5
	if len(p) >= 32 {
		var one uint64 = xxPrime1
		a, b, c, d := one+xxPrime2, xxPrime2, uint64(0), -one
		for ; len(p) >= 32; p = p[32:] {
			a = xxRound(a, binary.LittleEndian.Uint64(p))
			b = xxRound(b, binary.LittleEndian.Uint64(p[8:]))
			c = xxRound(c, binary.LittleEndian.Uint64(p[16:]))
			d = xxRound(d, binary.LittleEndian.Uint64(p[24:]))
		}
		h = bits.RotateLeft64(a, 1) + bits.RotateLeft64(b, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(d, 18)
		for _, v := range [4]uint64{a, b, c, d} {
			h = (h^xxRound(0, v))*xxPrime1 + xxPrime4
		}
	}
	h += n
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64(h^xxRound(0, binary.LittleEndian.Uint64(p)), 27)*xxPrime1 + xxPrime4
	}
	if len(p) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(p))*xxPrime1, 23)*xxPrime2 + xxPrime3
		p = p[4:]
	}
	for _, c := range p {
		h = bits.RotateLeft64(h^uint64(c)*xxPrime5, 11) * xxPrime1
	}
	h = (h ^ h>>33) * xxPrime2
	h = (h ^ h>>29) * xxPrime3
	return h ^ h>>32
}

func xxRound(acc, lane uint64) uint64 {
	return bits.RotateLeft64(acc+lane*xxPrime2, 31) * xxPrime1
}
