/* wine 8 lacks this library, from which Rust's std takes random numbers: made by tests/windows/run where it is missing. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE into, SIZE_T left)
{
    while (left) {
        ULONG part = left > 0x10000000 ? 0x10000000 : (ULONG)left;
        if (!RtlGenRandom(into, part)) return FALSE;
        into += part;
        left -= part;
    }
    return TRUE;
}
