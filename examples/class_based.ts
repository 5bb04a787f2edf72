/**
 * Class-based actors: OTP's callbacks as methods. For those who like fields, and for state that is inherited or mocked.
 */

import {
  Actor,
  createSystem,
  DEFAULT_CHILD_SUPERVISION,
  type DownMessage,
  type InfoMessage,
  loggerConfig,
} from "libeam";

type Request = { type: "open"; owner: string } | { type: "accounts" };
type Booking = { type: "deposit" | "withdraw"; amount: number };

class Account extends Actor<Booking, { type: "balance" }, number> {
  private owner = "";
  private balance = 0;

  override init(owner: string): void {
    this.owner = owner;
    console.log(`account of ${owner} opened`);
  }

  override handleCast({ type, amount }: Booking): void {
    if (type === "withdraw" && amount > this.balance) throw new Error(`${this.owner} is broke`);
    this.balance += type === "deposit" ? amount : -amount;
  }

  override handleCall(): number {
    return this.balance;
  }

  override terminate(): void {
    console.log(`account of ${this.owner} closed at ${this.balance}`);
  }
}

class Bank extends Actor {
  override childSupervision() {
    return { ...DEFAULT_CHILD_SUPERVISION, strategy: "Stop" } as const;
  }

  override handleCall(request: Request): unknown {
    if (request.type === "accounts") return this.countChildren();
    const account = this.spawn(Account, { name: request.owner, args: [request.owner] });
    this.watch(account);
    return account;
  }

  override handleInfo(message: InfoMessage): void {
    if (message.type === "down") this.closed(message);
  }

  private closed({ actorRef, reason }: DownMessage): void {
    const why = reason.type === "error" ? reason.error.message : reason.type;
    console.log(`the bank hears that ${actorRef.id.name} is down: ${why}`);
  }
}

loggerConfig.configure({ level: "none" });

const system = createSystem({ nodeId: "bank" });
const bank = system.spawn(Bank);
const ada = await bank.call({ type: "open", owner: "ada" });
const joe = await bank.call({ type: "open", owner: "joe" });

ada.cast({ type: "deposit", amount: 100 });
ada.cast({ type: "withdraw", amount: 30 });
joe.cast({ type: "withdraw", amount: 1 });

console.log("ada has", await ada.call({ type: "balance" }));
console.log("accounts left:", await bank.call({ type: "accounts" }));

await system.shutdown();
