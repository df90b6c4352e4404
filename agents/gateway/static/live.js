// Binds nodes to results: a node is drawn again when its result changed and somebody can see it.

import { keep, on, signs } from "./store.js";

export class Live {
  constructor() {
    this.bound = new Map(); // id → entries
    this.entries = new Map(); // node → entry
    this.stop = on("signs", (changed) => this.take(changed));
    this.observer = new IntersectionObserver((seen) => this.seen(seen), { rootMargin: "200px" });
    this.timers = [];
    this.ends = [this.stop, keep((id) => this.bound.get(id)?.size > 0)];
  }

  /** Draws `node` with the result `id`, now and at each change while it can be seen. */
  bind(node, id, draw) {
    const entry = { node, id, draw, visible: true, stale: false };
    if (!this.bound.has(id)) this.bound.set(id, new Set());
    this.bound.get(id).add(entry);
    this.entries.set(node, entry);
    this.observer.observe(node);
    draw(signs.get(id) ?? null);
    return node;
  }

  take(changed) {
    for (const id of changed) {
      for (const entry of this.bound.get(id) ?? []) {
        if (entry.visible && !document.hidden) entry.draw(signs.get(id));
        else entry.stale = true;
      }
    }
  }

  seen(changes) {
    for (const { target, isIntersecting } of changes) {
      const entry = this.entries.get(target);
      if (!entry) continue;
      entry.visible = isIntersecting;
      if (isIntersecting && entry.stale) {
        entry.stale = false;
        entry.draw(signs.get(entry.id) ?? null);
      }
    }
  }

  /** What is bound to nodes that can be seen. */
  seenIds() {
    return [...new Set([...this.entries.values()].filter((one) => one.visible && one.node.isConnected).map((one) => one.id))];
  }

  /** Draws everything that can be seen, such as ages. */
  redraw() {
    for (const entry of this.entries.values()) {
      if (entry.visible) entry.draw(signs.get(entry.id) ?? null);
    }
  }

  /** Calls `act` once, when `node` comes into sight. */
  whenSeen(node, act) {
    const observer = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      observer.disconnect();
      act();
    });
    observer.observe(node);
    this.ends.push(() => observer.disconnect());
  }

  /** Lets go of nodes that are shown no more; of all where no root is given. */
  forget(root = null) {
    for (const [node, entry] of this.entries) {
      if (root && !root.contains(node)) continue;
      this.observer.unobserve(node);
      this.entries.delete(node);
      this.bound.get(entry.id)?.delete(entry);
    }
  }

  on(topic, hear) {
    this.ends.push(on(topic, hear));
  }

  /** Calls `act` each `ms`. */
  every(ms, act) {
    this.timers.push(setInterval(act, ms));
  }

  /** Calls `act` soon after something of `topic` changed, once for many changes. */
  soon(topic, ms, act, matters = () => true) {
    let timer = null;
    this.on(topic, (what) => {
      if (timer !== null || !matters(what)) return;
      timer = setTimeout(() => {
        timer = null;
        act();
      }, ms);
    });
    this.ends.push(() => clearTimeout(timer));
  }

  end() {
    this.observer.disconnect();
    this.timers.forEach(clearInterval);
    this.ends.forEach((end) => end());
  }
}
