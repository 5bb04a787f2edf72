/**
 * Makes a TestCluster, tells the ports of its nodes, and does nothing more: specs kill it.
 */

import { loggerConfig } from "../../../lib/index.ts";
import { TestCluster } from "../../../lib/testing/index.ts";

loggerConfig.configure({ level: "none" });
const cluster = await TestCluster.create({ size: 2 });
process.send?.(cluster.nodes.map(({ ports }) => ports));
