/* The program that is started: it ends at once, with no C library to set up or to page in. */
void _start(void)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(231L), "D"(0L) : "rcx", "r11", "memory"); /* exit_group(0) */
#elif defined(__aarch64__)
	register long number __asm__("x8") = 94; /* exit_group(0) */
	register long status __asm__("x0") = 0;
	__asm__ volatile("svc 0" : : "r"(number), "r"(status) : "memory");
#else
#error "write exit_group(0) for this processor"
#endif
	__builtin_unreachable();
}
