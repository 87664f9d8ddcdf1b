/**
 * Version of this package. It is part of the address of the worker and of the modules, so that
 * a cached file of an older release never meets a newer one.
 */
export const VERSION = "0.1.0";
