/* What newlib needs of its system, by the system calls of Linux: for qemu-arm. */
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

int main(void);
void _start(void);
int _write(int file, const char *text, int length);
void _exit(int status);
void *_sbrk(ptrdiff_t more);
int _close(int file);
int _fstat(int file, struct stat *found);
int _isatty(int file);
int _lseek(int file, int offset, int from);
int _read(int file, char *text, int length);
int _kill(int process, int signal);
int _getpid(void);

/* One system call. */
static long call(long number, long a, long b, long c)
{
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    register long r7 __asm__("r7") = number;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r7) : "memory");
    return r0;
}
int _write(int file, const char *text, int length) { return (int)call(4, file, (long)text, length); }
void _exit(int status) { for (;;) { (void)call(1, status, 0, 0); } }
void *_sbrk(ptrdiff_t more)
{
    static char heap[65536] __attribute__((aligned(8)));
    static ptrdiff_t used;
    char *const at = &heap[used];
    if (used + more > (ptrdiff_t)sizeof heap) { return (void *)-1; }
    used += more;
    return at;
}
int _close(int file) { (void)file; return -1; }
int _fstat(int file, struct stat *found) { (void)file; found->st_mode = S_IFCHR; return 0; }
int _isatty(int file) { (void)file; return 1; }
int _lseek(int file, int offset, int from) { (void)file; (void)offset; (void)from; return 0; }
int _read(int file, char *text, int length) { (void)file; (void)text; (void)length; return 0; }
int _kill(int process, int signal) { (void)process; (void)signal; return -1; }
int _getpid(void) { return 1; }
void _start(void) { const int status = main(); (void)fflush(stdout); _exit(status); }
