// Package xz writes and reads .xz files, on several cores and within bounds.
//
// The library that compresses, github.com/ulikunitz/xz, knows LZMA2 well and
// the container around it less well for this purpose: its writer cannot store
// what does not compress, nor name the sizes of blocks in their headers, so that
// nobody can decompress in parallel; its reader takes as much memory as a file
// asks for. So the container is done here and LZMA2 there, one block at a time
// and in memory.
//
// What [Writer] writes is one stream of independent blocks of at most 4 MiB,
// each with both sizes in its header and a CRC32 check. Any xz tool reads it,
// and those that can do so in parallel. [Reader] reads any legal .xz file whose
// only filter is LZMA2: several streams, missing sizes, all four checks.
//
// Format: The .xz File Format, version 1.2.1 (tukaani.org/xz/xz-file-format.txt).
package xz
