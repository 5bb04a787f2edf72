/** The text of lib/kernel/protocol.ts for a table of numbers. */
export declare function protocolSource(table: Record<string, number>): string;
