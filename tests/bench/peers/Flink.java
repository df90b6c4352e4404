import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.WindowAssigner;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Apache Flink, DataStream API, a cluster in this process with one slot a core: windows of 10 s by
 * device; of what they came to windows of 60 s, and the roll-up level by level. Watermarks by
 * partition, 35 s behind (disorder and lateness), so that each window is sent once; heap state,
 * object reuse, a checkpoint every 10 s, which commits the offsets; the source is bounded, so the
 * job ends.
 */
public final class Flink {
    private static final Duration PANE = Duration.ofSeconds(10);
    private static final Duration HOPPING = Duration.ofSeconds(60);
    private static final Duration WAIT = Duration.ofSeconds(35);
    private static final String[] LEVELS = {"grid", "street", "district", "city"};
    private static final int[] DIGITS = {15, 9, 6, 4};

    /** A reading, or what a window came to. */
    public static class Cell {
        public String key;
        public String place;
        public long start;
        public long n;
        public double total;
        public double low;
        public double high;

        public Cell() {}
    }

    /** Decodes records; malformed ones give nothing. */
    public static class Decoder implements KafkaRecordDeserializationSchema<Cell> {
        private transient JsonFactory json;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Cell> out) {
            if (json == null) {
                json = new JsonFactory();
            }
            Cell cell = new Cell();
            boolean valued = false;
            try (JsonParser parser = json.createParser(record.value())) {
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    JsonToken token = parser.nextToken();
                    if (name.equals("device") && token == JsonToken.VALUE_STRING) {
                        cell.key = parser.getText();
                    } else if (name.equals("place") && token == JsonToken.VALUE_STRING) {
                        cell.place = parser.getText();
                    } else if (name.equals("t") && token == JsonToken.VALUE_NUMBER_INT) {
                        cell.start = parser.getLongValue();
                    } else if (name.equals("value") && token.isNumeric()) {
                        cell.total = cell.low = cell.high = parser.getDoubleValue();
                        valued = true;
                    } else {
                        parser.skipChildren();
                    }
                }
            } catch (IOException malformed) {
                return;
            }
            if (valued && cell.key != null && cell.place != null && cell.start != 0) {
                cell.n = 1;
                out.collect(cell);
            }
        }

        @Override
        public TypeInformation<Cell> getProducedType() {
            return TypeInformation.of(Cell.class);
        }
    }

    /** Merges cells. */
    public static class Merge implements AggregateFunction<Cell, Cell, Cell> {
        @Override
        public Cell createAccumulator() {
            Cell cell = new Cell();
            cell.low = Double.POSITIVE_INFINITY;
            cell.high = Double.NEGATIVE_INFINITY;
            return cell;
        }

        @Override
        public Cell add(Cell value, Cell into) {
            into.place = value.place;
            into.n += value.n;
            into.total += value.total;
            into.low = Math.min(into.low, value.low);
            into.high = Math.max(into.high, value.high);
            return into;
        }

        @Override
        public Cell getResult(Cell cell) {
            return cell;
        }

        @Override
        public Cell merge(Cell one, Cell other) {
            return add(one, other);
        }
    }

    /** Gives a window's cell its key and start. */
    public static class Name implements WindowFunction<Cell, Cell, String, TimeWindow> {
        @Override
        public void apply(String key, TimeWindow window, Iterable<Cell> cells, Collector<Cell> out) {
            Cell merged = cells.iterator().next();
            Cell cell = new Cell();
            cell.key = key;
            cell.place = merged.place;
            cell.start = window.getStart();
            cell.n = merged.n;
            cell.total = merged.total;
            cell.low = merged.low;
            cell.high = merged.high;
            out.collect(cell);
        }
    }

    private static SingleOutputStreamOperator<Cell> windows(
            DataStream<Cell> cells, int digits, WindowAssigner<Object, TimeWindow> assigner) {
        return cells.keyBy(c -> digits == 0 ? c.key : c.place.substring(0, digits), TypeInformation.of(String.class))
                .window(assigner)
                .aggregate(new Merge(), new Name());
    }

    private static DataStream<String> rows(String level, int window, DataStream<Cell> cells) {
        String begin = level + "," + window + ",";
        return cells.map(
                c -> begin + c.key + "," + c.start + "," + c.n + "," + c.total + "," + c.low + "," + c.high)
                .returns(String.class);
    }

    public static void main(String[] args) throws Exception {
        String servers = asked(args[0], "servers");
        String output = asked(args[0], "output");
        Configuration settings = new Configuration();
        settings.setString("taskmanager.memory.managed.size", "64m");
        settings.setString("taskmanager.memory.network.max", "128m");
        settings.setString("execution.checkpointing.storage", "jobmanager");
        settings.setString("pipeline.object-reuse", "true");
        int cores = Math.min(Runtime.getRuntime().availableProcessors(), 2);
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(cores, settings);
        environment.enableCheckpointing(10_000);
        KafkaSource<Cell> source = KafkaSource.<Cell>builder()
                .setBootstrapServers(servers)
                .setTopics(asked(args[0], "input"))
                .setGroupId(asked(args[0], "group"))
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setDeserializer(new Decoder())
                .setProperty("max.poll.records", "10000")
                .setProperty("fetch.min.bytes", "65536")
                .setProperty("max.partition.fetch.bytes", "4194304")
                .build();
        WatermarkStrategy<Cell> clock = WatermarkStrategy
                .<Cell>forBoundedOutOfOrderness(WAIT)
                .withTimestampAssigner((cell, logged) -> cell.start);
        DataStream<Cell> readings = environment.fromSource(source, clock, "readings");
        var tumbling = TumblingEventTimeWindows.of(PANE);
        var hopping = SlidingEventTimeWindows.of(HOPPING, PANE);
        List<DataStream<String>> found = new ArrayList<>();
        SingleOutputStreamOperator<Cell> below = windows(readings, 0, tumbling);
        found.add(rows("device", 10, below));
        if (asked(args[0], "device_hops").equals("true")) {
            found.add(rows("device", 60, windows(below, 0, hopping)));
        }
        for (int i = 0; i < LEVELS.length; i++) {
            below = windows(below, DIGITS[i], tumbling);
            found.add(rows(LEVELS[i], 10, below));
            found.add(rows(LEVELS[i], 60, windows(below, DIGITS[i], hopping)));
        }
        DataStream<String> all = found.remove(0);
        for (DataStream<String> more : found) {
            all = all.union(more);
        }
        all.sinkTo(KafkaSink.<String>builder()
                .setBootstrapServers(servers)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
                        .setTopic(output).setValueSerializationSchema(new SimpleStringSchema()).build())
                .setProperty("compression.type", "lz4")
                .setProperty("linger.ms", "50")
                .setProperty("batch.size", "1048576")
                .setProperty("buffer.memory", "134217728")
                .build());
        environment.execute("compare");
        System.exit(0);
    }

    private static String asked(String text, String name) throws IOException {
        try (JsonParser parser = new JsonFactory().createParser(text)) {
            while (parser.nextToken() != null) {
                if (name.equals(parser.currentName()) && parser.currentToken() != JsonToken.FIELD_NAME) {
                    return parser.getText();
                }
            }
        }
        throw new IllegalArgumentException(name);
    }
}
